package api

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/store"
)

const tagSystem = "System"

// Database is what the API needs of [store.Store] beside what it keeps.
type Database interface {
	Durable() bool
	Counts() (written, dropped uint64)
	Backup(ctx context.Context) (*store.Copy, error)
}

// backupPatience bounds the making and the download of a backup.
const backupPatience = 10 * time.Minute

var problemType = reflect.TypeFor[client.Problem]()

func (a *API) systemRoutes() {
	handle(a, operation{
		id: "get-version", method: http.MethodGet, path: "/system/version", scope: auth.Read, tag: tagSystem,
		summary: "Tell which build runs",
	}, func(context.Context, *none) (*answer[client.Version], error) {
		return &answer[client.Version]{client.Version{
			Version: a.Build.Version, Revision: a.Build.Revision, Go: a.Build.Go, Started: a.Started, Boot: a.Boot,
		}}, nil
	})
	handle(a, operation{
		id: "get-backup", method: http.MethodGet, path: "/system/backup", scope: auth.Admin, tag: tagSystem, slow: backupPatience,
		summary:     "Download a backup of the database",
		description: "History, changed settings, and keys and passwords as hashes. To restore it, put it in place of " + store.FileName + " in the data directory while the server is down.",
		responses: map[string]*huma.Response{"200": {
			Description: "A SQLite database.",
			Content:     map[string]*huma.MediaType{"application/vnd.sqlite3": {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
		}},
	}, a.backup)
}

func (a *API) backup(ctx context.Context, _ *none) (*huma.StreamResponse, error) {
	backup, err := a.Database.Backup(ctx)
	if err != nil {
		return nil, a.failed(err)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer func() {
			if err := backup.Close(); err != nil {
				a.Log.Warn("the copy of the database is not deleted", "err", err)
			}
		}()
		_, w := humago.Unwrap(hc)
		if info, err := backup.Stat(); err == nil {
			hc.SetHeader("Content-Length", strconv.FormatInt(info.Size(), 10))
		}
		hc.SetHeader("Content-Type", "application/vnd.sqlite3")
		hc.SetHeader("Content-Disposition", `attachment; filename="acequia-`+time.Now().UTC().Format("20060102-150405")+`.db"`)
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(backupPatience))
		if _, err := io.Copy(w, backup); err != nil {
			a.Log.Info("backup not downloaded to its end", "err", err)
		}
	}}, nil
}
