package app

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/config"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
	"github.com/acequia-tv/acequia/internal/store"
)

// A database that cannot be used stops nothing: content plays, people log in,
// and it is said what to do.
func TestServesWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	inv := invocation(t, keyed(
		config.Setting{Name: "listen", Text: "127.0.0.1:0"},
		config.Setting{Name: "static.engines", Text: enginetest.New(channel()).Start(t).URL()},
	)...)
	path := filepath.Join(inv.Config.Data, store.FileName)
	damaged := strings.Repeat("this is no database\n", 500)
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := &logged{}
	inv.Log = lines.logger()
	s := serve(t, inv, true)
	if w := ask(s.handler, http.MethodHead, "/ace/getstream?infohash="+channelIH, fromLAN, ""); w.Code != http.StatusOK {
		t.Errorf("playback: %d %s", w.Code, w.Body)
	}
	if advice := lines.find(t, "advice"); !strings.Contains(advice, "move it away") {
		t.Errorf("the log advises %q", advice)
	}
	var page client.EventPage
	request(t, s, readKey, http.MethodGet, "/events?type=store.", "", &page)
	if len(page.Events) != 1 || page.Events[0].Type != eventStoreLost || page.Events[0].Attrs["reason"] != string(store.FaultDamaged) {
		t.Errorf("%+v", page)
	}
	var health client.Health
	request(t, s, readKey, http.MethodGet, "/system/health", "", &health)
	told := false
	for _, c := range health.Checks {
		told = told || c.ID == "database" && c.Status == "error" && c.Advice != ""
	}
	if !told {
		t.Errorf("%+v", health)
	}
	if res, body := post(t, s.base+"/api/v1/login", client.Login{User: "admin", Password: lines.find(t, "password")}); res.StatusCode != http.StatusOK {
		t.Errorf("login: %d %s", res.StatusCode, body)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != damaged {
		t.Errorf("the file was changed (%v)", err)
	}
}
