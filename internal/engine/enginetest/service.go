package enginetest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/acequia-tv/acequia/internal/content"
)

// service is the web UI's service interface.
func (f *Fake) service(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("method") != "get_version" {
		writeJSON(w, http.StatusOK, object{"result": nil, "error": "unknown method"})
		return
	}
	f.count(func(c *Counters) { c.VersionCalls++ })
	result := f.version()
	result["websocket_port"] = 43879
	if f.cfg.Native {
		result["engine"] = "acequia"
	}
	writeJSON(w, http.StatusOK, object{"result": result, "error": nil})
}

// clearCache is a command of the web page. What an engine answers to a wrong
// token is not published.
func (f *Fake) clearCache(w http.ResponseWriter, r *http.Request) {
	if f.cfg.AccessToken != "" && r.PathValue("token") != f.cfg.AccessToken {
		writeJSON(w, http.StatusForbidden, object{"result": nil, "error": "access denied"})
		return
	}
	f.count(func(c *Counters) { c.CacheClears++ })
	writeJSON(w, http.StatusOK, object{"result": true, "error": nil})
}

func (f *Fake) version() object {
	code := 0
	for i, part := range strings.SplitN(f.cfg.Version, ".", 3) {
		n, _ := strconv.Atoi(part) // a part that is no number adds nothing to the code
		code += n * [...]int{1_000_000, 10_000, 100}[i]
	}
	return object{"code": code, "platform": f.cfg.Platform, "version": f.cfg.Version}
}

// serverAPI is version 3 of the service interface. Its errors are objects.
func (f *Fake) serverAPI(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	fail := func(text string) {
		writeJSON(w, http.StatusOK, object{"error": object{"message": text, "code": 0}})
	}
	result := func(v any) { writeJSON(w, http.StatusOK, object{"result": v}) }
	if q.Get("api_version") != "3" {
		writeJSON(w, http.StatusOK, object{"result": nil, "error": "access denied"})
		return
	}
	method := q.Get("method")
	switch method {
	case "get_status":
		result(object{"playlist_loaded": true, "version": f.version()})
		return
	case "get_network_connection_status":
		result(object{"connected": true})
		return
	case "analyze_content":
		named, err := parseContentQuery(q.Get("query"))
		if err != "" {
			fail(err)
			return
		}
		q = named
	case "get_media_files", "get_content_id":
	default:
		fail("unknown method")
		return
	}
	sel, err := content.FromQuery(q)
	c := f.find(sel)
	if err != nil || c == nil {
		if sleep(r.Context(), f.clock, f.cfg.Timing.UnknownContentID) {
			fail("cannot get transport file")
		}
		return
	}
	switch method {
	case "analyze_content":
		result(object{
			"is_live": number(c.Live), "infohash": c.Infohash, "content_id": c.ContentID, "title": c.Name,
			"transport_type": "bt", "content_type": "transport_file", "categories": []string{},
		})
	case "get_content_id":
		result(object{"content_id": c.ContentID})
	default:
		result(mediaFiles(c))
	}
}

// parseContentQuery reads the URI that names a content to analyze_content, or
// tells the engine's error for it.
func parseContentQuery(raw string) (url.Values, string) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, "unknown protocol"
	}
	switch u.Scheme {
	case "acestream":
		return u.Query(), ""
	case "magnet":
		return url.Values{"magnet": {raw}}, ""
	case "http", "https":
		return url.Values{"url": {raw}}, ""
	}
	return nil, "unknown protocol"
}

func mediaFiles(c *Content) object {
	kind, files := "live", []object{{"index": 0, "filename": c.Name, "mime": "video/mp2t", "size": 0}}
	if !c.Live {
		kind, files = "vod", nil
		for i, file := range c.Files {
			files = append(files, object{"index": i, "filename": file.Name, "mime": file.MIME, "size": len(file.Data)})
		}
	}
	return object{
		"files": files, "name": c.Name, "infohash": c.Infohash, "transport_type": "bt", "type": kind,
		"transport_file_cache_key": c.Infohash[:8],
	}
}
