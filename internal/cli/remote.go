package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/store"
)

// serverHelp is what all commands that talk to a server say about that.
const serverHelp = `
The server is that of --url or $ACEQUIA_URL, or else the one that the settings of this machine describe. The key is that of --key-file, $ACEQUIA_KEY or $ACEQUIA_KEY_FILE. Without one, who can write to the data directory gets in for the time of the command.
`

// serverFlags is embedded in every command that talks to a server.
type serverFlags struct {
	settingFlags
	URL     string `name:"url" placeholder:"URL" help:"Address of the server, as in http://tv-box:6878."`
	KeyFile string `name:"key-file" placeholder:"FILE" help:"File that holds a key."`
	JSON    bool   `name:"json" help:"Write JSON."`
}

func (*serverFlags) shows(string) bool { return false }

// guestLife bounds a key made for one command, in case it is not taken back.
const guestLife = 24 * time.Hour

// with calls do with a client of the server.
func (f *serverFlags) with(ctx context.Context, c *call, do func(*client.Client) error) (err error) {
	target, key := f.URL, c.process.getenv("ACEQUIA_KEY")
	if target == "" {
		target = c.process.getenv("ACEQUIA_URL")
	}
	if file := f.KeyFile; file != "" || key == "" {
		if file == "" {
			file = c.process.getenv("ACEQUIA_KEY_FILE")
		}
		if key, err = f.readKey(c, file); err != nil {
			return err
		}
	}
	if target == "" {
		settings, err := f.load(c)
		if err != nil {
			return err
		}
		if target, err = healthURL(settings.Config.Listen, ""); err != nil {
			return err
		}
		// Only for the server of this machine: a key is not sent to others.
		if key == "" {
			var leave func() error
			if key, leave, err = guest(ctx, settings.Config); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, leave()) }()
		}
	}
	api, err := client.New(target, client.WithKey(key))
	if err != nil {
		return usageError{err}
	}
	return explainCall(do(api), target)
}

func (f *serverFlags) readKey(c *call, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	data, err := c.process.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the key: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// guest makes a key in the database of this machine and returns it with what
// takes it back.
func guest(ctx context.Context, cfg config.Config) (key string, leave func() error, err error) {
	kept, err := openKept(ctx, cfg)
	if err != nil {
		return "", nil, fmt.Errorf("no key is given, and none can be made here: %w", err)
	}
	k, secret, err := auth.NewKey(ctx, kept, "command line", auth.Admin, time.Now().Add(guestLife))
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("no key is given, and none can be made here: %w", err), kept.Close())
	}
	return secret, func() error {
		// Taken back also where the command was interrupted.
		err := kept.DropKey(context.WithoutCancel(ctx), k.ID)
		return errors.Join(err, kept.Close())
	}, nil
}

// openKept opens the database of this machine, which a server may have open too.
func openKept(ctx context.Context, cfg config.Config) (*store.Store, error) {
	return store.Open(ctx, filepath.Join(cfg.Data, store.FileName), store.Config{Log: slog.New(slog.DiscardHandler)})
}

// explainCall adds what a person can do about a failed request.
func explainCall(err error, target string) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("no server answers at %s: start one with acequia serve, or name another with --url: %w", target, err)
	}
	if e, ok := errors.AsType[*client.Error](err); ok && e.Code == "bad_key" {
		return fmt.Errorf("%w: name a key with --key-file or $ACEQUIA_KEY; acequia auth key add makes one", err)
	}
	return err
}

// table is what a command shows.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...any) {
	row := make([]string, 0, len(cells))
	for _, c := range cells {
		text := fmt.Sprint(c)
		if text == "" {
			text = "-"
		}
		row = append(row, printable(text))
	}
	t.rows = append(t.rows, row)
}

// printable keeps what others named from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// show writes v as JSON, or as the table.
func (f *serverFlags) show(out io.Writer, v any, t func() *table) error {
	if f.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	made := t()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(made.head) > 0 {
		fmt.Fprintln(w, strings.Join(made.head, "\t"))
	}
	for _, row := range made.rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// ago is how long something is past, as a person says it.
func ago(t time.Time) string { return time.Since(t).Round(time.Second).String() }

// size is a number of bytes, as a person says it.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

func sizeOf(n *int64) string {
	if n == nil {
		return ""
	}
	return size(*n)
}
