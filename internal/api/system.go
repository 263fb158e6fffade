package api

import (
	"context"
	"net/http"
	"reflect"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
)

const tagSystem = "System"

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
}

func (a *API) documentRoutes() {}
