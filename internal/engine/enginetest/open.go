package enginetest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
)

// object is a JSON object under construction.
type object map[string]any

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the client may have gone
}

// redirectLinger is how long the body of a redirect stays without an end if the
// client does not go away.
const redirectLinger = 2 * time.Second

// takeOver writes a raw response and ends the connection once the client does,
// or after linger.
func takeOver(w http.ResponseWriter, linger time.Duration, response string) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, response); err != nil || linger == 0 {
		return
	}
	// A deadline that cannot be set is one the client's leaving makes good.
	_ = conn.SetReadDeadline(time.Now().Add(linger))
	_, _ = bufio.NewReader(io.MultiReader(buffered, conn)).WriteTo(io.Discard)
}

// redirect answers as engines do: the body has neither a length nor chunks.
func (f *Fake) redirect(w http.ResponseWriter, target string) {
	takeOver(w, redirectLinger, "HTTP/1.1 302 Found\r\nServer: "+w.Header().Get("Server")+"\r\nLocation: "+target+
		"\r\nAccess-Control-Allow-Origin: *\r\n\r\nRedirect to "+target)
}

// base returns the scheme and host that URLs in answers have.
func (f *Fake) base(r *http.Request) string {
	if f.fault(WrongHost) != nil {
		return "http://127.0.0.1:6878"
	}
	return "http://" + r.Host
}

// getStream opens a session, progressive or HLS.
func (f *Fake) getStream(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	inJSON := q.Get("format") == "json"
	fail := func(text string, extra object) {
		f.count(func(c *Counters) { c.OpenFailures++ })
		if !inJSON {
			writeText(w, http.StatusInternalServerError, text)
			return
		}
		answer := object{"response": nil, "error": text}
		if extra != nil {
			answer["extra_data"] = extra
		}
		writeJSON(w, http.StatusOK, answer)
	}
	sel, err := content.FromQuery(q)
	if errors.Is(err, content.ErrMissing) {
		f.count(func(c *Counters) { c.OpenFailures++ })
		writeText(w, http.StatusInternalServerError, "missing content id")
		return
	}
	names := []string{sel.Value}
	c := f.find(sel)
	if c != nil {
		names = c.names()
	}
	if !f.openFaults(w, r, fail, names) {
		return
	}
	if err != nil || c == nil || sel.File >= max(1, len(c.Files)) {
		if sleep(r.Context(), f.clock, f.unknownDelay(sel)) {
			fail("failed to load content", nil)
		}
		return
	}
	if !sleep(r.Context(), f.clock, f.cfg.Timing.Open) {
		return
	}
	hls := strings.HasSuffix(r.URL.Path, ".m3u8")
	pid := q.Get("pid")
	if pid == "" {
		pid = q.Get("sid")
	}
	s := f.open(pid, c, sel.File, hls)
	f.answerOpen(w, r, s, inJSON)
}

// unknownDelay returns how long an engine looks for what nobody has.
func (f *Fake) unknownDelay(sel content.Selector) time.Duration {
	if sel.Kind == content.ContentID {
		return f.cfg.Timing.UnknownContentID
	}
	return f.cfg.Timing.UnknownInfohash
}

// openFaults lets the faults of opening strike. It reports whether the request
// is still to be answered.
func (f *Fake) openFaults(w http.ResponseWriter, r *http.Request, fail func(string, object), names []string) bool {
	if o := f.fault(SlowOpen, names...); o != nil && !sleep(r.Context(), f.clock, o.Delay) {
		return false
	}
	if o := f.fault(HangOpen, names...); o != nil && !o.hang(r.Context()) {
		return false
	}
	if f.fault(HTML500, names...) != nil {
		f.count(func(c *Counters) { c.OpenFailures++ })
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "<html><body><h1>Internal Server Error</h1></body></html>")
		return false
	}
	if f.fault(BrokenJSON, names...) != nil {
		f.count(func(c *Counters) { c.OpenFailures++ })
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"response":{"playback_url":"http://127.0.0.1:6878/ace/r/0a`)
		return false
	}
	if f.fault(MissingOption, names...) != nil {
		fail("You need to buy Proxy Server option to continue", object{"reason": "missing_option", "option": "proxyServer"})
		return false
	}
	if o := f.fault(OpenError, names...); o != nil {
		var extra object
		if o.Reason != "" {
			extra = object{"reason": o.Reason}
		}
		fail(either(o.Text, "failed to load content"), extra)
		return false
	}
	return true
}

// answerOpen tells the client about its session.
func (f *Fake) answerOpen(w http.ResponseWriter, r *http.Request, s *session, inJSON bool) {
	base := f.base(r)
	path := s.content.Infohash + "/" + s.key
	playback := base + "/ace/r/" + path
	if s.hls {
		playback = base + "/ace/m/" + path + ".m3u8"
	}
	if !inJSON {
		f.redirect(w, playback)
		return
	}
	response := object{
		"playback_url":        playback,
		"stat_url":            base + "/ace/stat/" + path,
		"command_url":         base + "/ace/cmd/" + path,
		"infohash":            s.content.Infohash,
		"playback_session_id": s.id,
		"is_live":             number(s.content.Live),
		"is_encrypted":        0,
		"client_session_id":   -1,
	}
	if f.cfg.MultiReader {
		response["multi_reader"] = 1
	}
	writeJSON(w, http.StatusOK, object{"response": response, "error": nil})
}

// number is how engines write a bool.
func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
