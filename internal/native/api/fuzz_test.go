package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/acequia-tv/acequia/internal/native"
	"github.com/acequia-tv/acequia/internal/native/api"
)

// FuzzGetstream opens sessions from anything: whatever is sent, the answer is
// the object that clients read, and what it opened can be stopped.
func FuzzGetstream(f *testing.F) {
	f.Add("infohash="+clip.Infohash(), "", []byte(nil))
	f.Add("magnet=magnet%3A%3Fxt%3Durn%3Abtih%3A"+clip.Infohash()+"&_idx=0", "", []byte(nil))
	f.Add("url=http%3A%2F%2Fexample.com%2Falbum.torrent&_idx=1&pid=1", "", []byte(nil))
	f.Add("content_id="+contentID+"&client_session_id=9", "", []byte(nil))
	f.Add("_idx=99999999999999999999", "application/json", []byte(`{"transport_file_data":"ZDQ6aW5mb2RlZQ=="}`))
	f.Add("", "application/json", []byte(`{"transport_file_data":null}`))
	f.Add("%zz;", "application/x-www-form-urlencoded", []byte("infohash="+clip.Infohash()))
	f.Fuzz(func(t *testing.T, query, contentType string, body []byte) {
		r := newRig(t, func(c *native.Config, _ *native.Deps, _ *api.Options) { c.StartTimeout = time.Millisecond })
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, origin+"/ace/getstream", strings.NewReader(string(body)))
		req.URL.RawQuery = "format=json&" + query
		req.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, req)
		if req.URL.Query().Get("format") != "json" {
			return
		}
		var got struct {
			Response *session `json:"response"`
			Error    *string  `json:"error"`
			Extra    *struct {
				Reason string `json:"reason"`
				Detail string `json:"detail"`
			} `json:"extra_data"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
			t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
		}
		if got.Response == nil {
			if got.Error == nil || got.Extra == nil || got.Extra.Reason == "" || got.Extra.Detail == "" {
				t.Errorf("an error without a reason: %s", w.Body)
			}
			if load := r.engine.Load(); load.Sessions != 0 {
				t.Errorf("%d sessions and an error", load.Sessions)
			}
			return
		}
		if got.Error != nil || len(got.Response.Infohash) != 40 {
			t.Errorf("answer %s", w.Body)
		}
		stop := strings.TrimPrefix(got.Response.Command, origin) + "?method=stop"
		if stopped := answer(t, r.get(t, stop)); stopped["response"] != "ok" {
			t.Errorf("stop: %v", stopped)
		}
	})
}
