package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/stream"
	"github.com/acequia-tv/acequia/internal/telemetry/telemetrytest"
)

// patience bounds every wait of these tests, which run on real time.
const patience = time.Minute

// day is today: what is old is pruned.
var day = time.Now().UTC().Truncate(time.Minute)

// stores runs a test on a file and in memory: the contract is the same.
func stores(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	for _, kind := range []string{"file", "memory"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, err := Memory(t.Context(), Config{Log: telemetrytest.Logger(t)})
			if kind == "file" {
				if s != nil {
					s.Close()
				}
				s, err = Open(t.Context(), filepath.Join(t.TempDir(), "data", FileName), Config{Log: telemetrytest.Logger(t)})
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			test(t, s)
		})
	}
}

// running runs the queue of a store until the test ends.
func running(t *testing.T, s *Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func flush(t *testing.T, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s *Store) {
		for _, step := range []struct {
			change map[string]*string
			want   map[string]string
		}{
			{nil, map[string]string{}},
			{map[string]*string{"pool.min": new("3"), "log.level": new("debug")}, map[string]string{"pool.min": "3", "log.level": "debug"}},
			{map[string]*string{"pool.min": new("4"), "log.level": nil, "never.was": nil}, map[string]string{"pool.min": "4"}},
		} {
			if err := s.ChangeSettings(t.Context(), step.change, day); err != nil {
				t.Fatal(err)
			}
			got, err := s.Settings(t.Context())
			if err != nil || !cmp.Equal(got, step.want) {
				t.Errorf("%v, %v; want %v", got, err, step.want)
			}
		}
	})
}

func TestEvents(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s *Store) {
		running(t, s)
		for _, boot := range []string{"a", "b"} {
			for seq := range uint64(5) {
				s.KeepEvent(boot, event.Event{
					Seq: seq + 1, Time: day.Add(time.Duration(seq) * time.Minute), Type: "engine.ready",
					Message: "it's ready", Attrs: map[string]string{"engine": fmt.Sprint(boot, seq+1)},
				})
			}
		}
		s.KeepEvent("b", event.Event{Seq: 6, Time: day, Type: "stream.ended"})
		s.KeepEvent("b", event.Event{Seq: 6, Time: day, Type: "told.twice"})
		flush(t, s)
		for name, test := range map[string]struct {
			query EventQuery
			want  string
		}{
			"newest":            {EventQuery{Limit: 3}, "b6 b5 b4"},
			"before":            {EventQuery{Boot: "b", Seq: 5, Limit: 3}, "b4 b3 b2"},
			"over the boot":     {EventQuery{Boot: "b", Seq: 2, Limit: 3}, "b1 a5 a4"},
			"to the end":        {EventQuery{Boot: "a", Seq: 3, Limit: 9}, "a2 a1"},
			"after what it has": {EventQuery{Boot: "c", Seq: 1, Limit: 1}, "b6"},
			"type":              {EventQuery{Type: "stream.", Limit: 9}, "b6"},
			"no such type":      {EventQuery{Type: "%", Limit: 9}, ""},
			"time":              {EventQuery{Since: day.Add(3 * time.Minute), Until: day.Add(4 * time.Minute), Limit: 9}, "b4 a4"},
		} {
			found, err := s.Events(t.Context(), test.query)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range found {
				got = append(got, fmt.Sprint(e.Boot, e.Seq))
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("%s: %q; want %q", name, got, test.want)
			}
		}
		first, err := s.Events(t.Context(), EventQuery{Boot: "a", Seq: 2, Limit: 1})
		want := []Event{{Boot: "a", Event: event.Event{Seq: 1, Time: day, Type: "engine.ready", Message: "it's ready", Attrs: map[string]string{"engine": "a1"}}}}
		if err != nil || !cmp.Equal(first, want) {
			t.Error(err, cmp.Diff(want, first))
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s *Store) {
		id := content.Selector{Kind: content.ContentID, Value: strings.Repeat("a", 40)}
		url := content.Selector{Kind: content.URL, Value: "http://example.com/a b?c='"}
		names := []stream.Name{{Content: id, Infohash: strings.Repeat("1", 40)}, {Content: url, Infohash: strings.Repeat("2", 40)}}
		if err := s.Names().Save(t.Context(), names); err != nil {
			t.Fatal(err)
		}
		names[0].Mistaken, names[0].Infohash = true, id.Value
		if err := s.Names().Save(t.Context(), names[:1]); err != nil {
			t.Fatal(err)
		}
		got, err := s.Names().Load(t.Context())
		if err != nil || len(got) != 2 || (got[0] != names[0] && got[1] != names[0]) || (got[0] != names[1] && got[1] != names[1]) {
			t.Errorf("%v, %v; want %v", got, err, names)
		}
	})
}

func TestPlays(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s *Store) {
		running(t, s)
		for i, p := range []Play{
			{Content: "id:a", Engine: "engine-1", What: PlayStart, Result: ResultOK, FirstByte: time.Second},
			{Content: "id:a", Engine: "engine-2", What: PlayStart, Result: ResultOK, FirstByte: 3 * time.Second},
			{Content: "id:a", Engine: "engine-2", What: PlaySource, Result: "stall"},
			{Content: "id:b", What: PlayStart, Result: "not_found"},
			{Content: "id:a", What: PlayStart, Result: "no_data"},
			{Content: "id:a", Engine: "engine-1", What: PlayTry, Result: "no_data"},
		} {
			p.At = day.Add(time.Duration(i) * time.Minute)
			s.KeepPlay(p)
		}
		flush(t, s)
		contents, err := s.ContentRecords(t.Context(), 10, 0)
		want := []Record{
			{
				Name: "id:a", Starts: 2, Failures: 1, Losses: 1, First: day, Last: day.Add(5 * time.Minute), LastResult: "no_data",
				FirstByte: 2 * time.Second, SlowestFirstByte: 3 * time.Second,
			},
			{Name: "id:b", Failures: 1, First: day.Add(3 * time.Minute), Last: day.Add(3 * time.Minute), LastResult: "not_found"},
		}
		if err != nil || !cmp.Equal(contents, want) {
			t.Error(err, cmp.Diff(want, contents))
		}
		page, err := s.ContentRecords(t.Context(), 1, 1)
		if err != nil || !cmp.Equal(page, want[1:]) {
			t.Error(err, cmp.Diff(want[1:], page))
		}
		one, err := s.ContentRecord(t.Context(), "id:b")
		if err != nil || !cmp.Equal(one, want[1]) {
			t.Error(err, cmp.Diff(want[1], one))
		}
		engines, err := s.EngineRecords(t.Context(), 10, 0)
		if err != nil || len(engines) != 2 || engines[0].Name != "engine-1" || engines[0].Failures != 1 || engines[1].Losses != 1 {
			t.Errorf("%+v, %v", engines, err)
		}
		if none, err := s.EngineRecord(t.Context(), "engine-9"); err != nil || none != (Record{}) {
			t.Errorf("%+v, %v", none, err)
		}
	})
}

func TestAccess(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s *Store) {
		running(t, s)
		ctx := t.Context()
		if _, err := s.User(ctx, "admin"); !errors.Is(err, auth.ErrNone) {
			t.Errorf("%v", err)
		}
		user := auth.User{Name: "admin", Hash: "$argon2id$", Scope: auth.Admin, Changed: day}
		key := auth.Key{ID: "k1", Name: "grafana", Scope: auth.Read, Created: day}
		session := auth.Session{ID: "s1", User: "admin", Scope: auth.Admin, Agent: "curl", Created: day, Used: day, Expires: day.Add(time.Hour)}
		for _, err := range []error{
			s.PutUser(ctx, user), s.AddKey(ctx, key, auth.DigestOf("secret")), s.AddSession(ctx, session, auth.DigestOf("cookie")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.AddSession(ctx, auth.Session{ID: "s2", User: "nobody"}, auth.DigestOf("x")); err == nil {
			t.Error("a session of nobody is kept")
		}
		s.Touch("k1", day.Add(time.Minute))
		flush(t, s)
		key.Used = day.Add(time.Minute)
		if got, err := s.User(ctx, "admin"); err != nil || got != user {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := s.Key(ctx, auth.DigestOf("secret")); err != nil || got != key {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := s.Key(ctx, auth.DigestOf("guess")); !errors.Is(err, auth.ErrNone) {
			t.Errorf("%v", err)
		}
		if got, err := s.Session(ctx, auth.DigestOf("cookie")); err != nil || got != session {
			t.Errorf("%+v, %v", got, err)
		}
		if all, err := s.Keys(ctx); err != nil || len(all) != 1 {
			t.Errorf("%v, %v", all, err)
		}
		if err := s.PutUser(ctx, user); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Sessions(ctx); err != nil || len(all) != 0 {
			t.Errorf("a new password leaves sessions: %v, %v", all, err)
		}
		if err := s.DropKey(ctx, "k1"); err != nil {
			t.Error(err)
		}
		if err := s.DropKey(ctx, "k1"); !errors.Is(err, auth.ErrNone) {
			t.Errorf("%v", err)
		}
	})
}

func TestPruneBoundsTables(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s *Store) {
		now := time.Now()
		err := s.change(t.Context(), "fill", func(tx *sql.Tx) error {
			_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
				INSERT INTO events (boot, seq, at, type, message, attrs) SELECT 'a', i, iif(i > 59000, ?, ?), 't', 'm', '{}' FROM n`,
				now.Add(-100*24*time.Hour).UnixMilli(), now.UnixMilli())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s.prune(t.Context())
		var n, first, last int
		if err := s.read.QueryRow("SELECT count(*), min(seq), max(seq) FROM events").Scan(&n, &first, &last); err != nil {
			t.Fatal(err)
		}
		if n != 50_000 || first != 9_001 || last != 59_000 {
			t.Errorf("%d events from %d to %d are left; want the newest 50000 of those that are not too old", n, first, last)
		}
	})
}

func TestQueueNeverBlocks(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s *Store) {
		for range queueSize + 10 { // nobody runs it
			s.KeepPlay(Play{At: day, Content: "id:a", What: PlayStart, Result: ResultOK})
		}
		if _, dropped := s.Counts(); dropped != 10 {
			t.Errorf("%d dropped; want 10", dropped)
		}
		running(t, s)
		flush(t, s)
		if written, dropped := s.Counts(); written != queueSize+1 || dropped != 10 {
			t.Errorf("%d written, %d dropped", written, dropped)
		}
	})
}

func TestRunWritesTheLast(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s *Store) {
		s.KeepPlay(Play{At: day, Content: "id:a", What: PlayStart, Result: ResultOK})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if r, err := s.ContentRecord(t.Context(), "id:a"); err != nil || r.Starts != 1 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestBackupIsADatabase(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s *Store) {
		if err := s.ChangeSettings(t.Context(), map[string]*string{"pool.min": new("3")}, day); err != nil {
			t.Fatal(err)
		}
		backup, err := s.Backup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var data bytes.Buffer
		if _, err := data.ReadFrom(backup); err != nil {
			t.Fatal(err)
		}
		name := backup.Name()
		if err := backup.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Dir(name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the copy is left behind: %v", err)
		}
		path := filepath.Join(t.TempDir(), FileName)
		if err := os.WriteFile(path, data.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		restored, err := Open(t.Context(), path, Config{Log: telemetrytest.Logger(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer restored.Close()
		if got, err := restored.Settings(t.Context()); err != nil || got["pool.min"] != "3" {
			t.Errorf("%v, %v", got, err)
		}
	})
}
