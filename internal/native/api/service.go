package api

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/native"
)

// version is what the engine says it is. The engine field is this engine's own:
// it tells native engines from official ones.
type version struct {
	Code     int    `json:"code"`
	Platform string `json:"platform"`
	Version  string `json:"version"`
	Engine   string `json:"engine"`
}

func (s *server) version() version {
	platform := runtime.GOOS
	if platform == "windows" {
		platform = "win32" // as the official engine calls it
	}
	return version{Code: versionCode(s.opts.Version), Platform: platform, Version: s.opts.Version, Engine: "acequia"}
}

// versionCode is major*1000000 + minor*10000 + patch*100, as the official
// engine counts. It is 1 for a build without a version: clients take 0 for no
// answer.
func versionCode(v string) int {
	v, _, _ = strings.Cut(strings.TrimPrefix(v, "v"), "-")
	code, unit := 0, 1_000_000
	for part := range strings.SplitSeq(v, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || unit < 100 {
			return 1
		}
		code += n * unit
		unit /= 100
	}
	return max(1, code)
}

// status is the engine's state. All but the first two fields are this engine's
// own.
type status struct {
	PlaylistLoaded bool    `json:"playlist_loaded"` // clients wait for it: the engine is ready
	Version        version `json:"version"`
	Sessions       int     `json:"sessions"`
	Readers        int     `json:"readers"`
	Peers          int     `json:"peers"`
	P2PPort        int     `json:"p2p_port"`
	CacheUsed      int64   `json:"cache_used"`  // bytes
	CacheLimit     int64   `json:"cache_limit"` // bytes
}

func (s *server) status() status {
	load := s.engine.Load()
	return status{
		PlaylistLoaded: true, Version: s.version(),
		Sessions: load.Sessions, Readers: load.Readers,
		Peers: load.Backend.Peers, P2PPort: load.Backend.P2PPort,
		CacheUsed: load.Backend.CacheUsed, CacheLimit: load.Backend.CacheLimit,
	}
}

// service answers the methods of the older service interface.
func (s *server) service(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Query().Get("method") {
	case "get_version":
		writeResult(w, s.version())
	case "get_status":
		writeResult(w, s.status())
	case "get_api_access_token":
		if !local(r) {
			writeResultError(w, accessDenied)
			return
		}
		writeResult(w, map[string]string{"token": s.token})
	default:
		writeResultError(w, unknownMethod)
	}
}

// serverAPI answers the methods of API version 3
// (https://docs.acestream.net/developers/api-reference/).
func (s *server) serverAPI(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("api_version") != "3" {
		// The first version of this interface was for the engine's own pages.
		writeResultError(w, accessDenied)
		return
	}
	answer := func(v any) { writeJSON(w, map[string]any{"result": v}) }
	switch q.Get("method") {
	case "get_status":
		answer(s.status())
	case "get_network_connection_status":
		answer(map[string]bool{"connected": connected()})
	case "get_api_access_token":
		if !local(r) {
			writeAPIError(w, accessDenied, nil)
			return
		}
		answer(map[string]string{"token": s.token})
	case "get_media_files":
		s.mediaFiles(w, r, q)
	case "analyze_content":
		s.analyze(w, r, q)
	case "get_content_id":
		writeAPIError(w, "this engine has no content ids: it plays by infohash", nil)
	default:
		writeAPIError(w, unknownMethod, nil)
	}
}

// mediaFile is one file of a content.
type mediaFile struct {
	Index    int    `json:"index"`
	Filename string `json:"filename"`
	MIME     string `json:"mime"`
	Size     int64  `json:"size"`
}

// mediaFiles lists the files of what the request names.
func (s *server) mediaFiles(w http.ResponseWriter, r *http.Request, q url.Values) {
	req, err := readContent(w, r, q)
	if err != nil {
		failAPI(w, err)
		return
	}
	info, err := s.engine.Inspect(r.Context(), req)
	if err != nil {
		failAPI(w, err)
		return
	}
	files := make([]mediaFile, len(info.Files))
	for i, f := range info.Files {
		files[i] = mediaFile{Index: f.Index, Filename: f.Path, MIME: native.MediaType(f.Path), Size: f.Size}
	}
	writeJSON(w, map[string]any{"result": map[string]any{
		"files": files, "name": info.Name, "infohash": info.Infohash,
		"transport_type": "bt", "type": deliveryWord(info),
	}})
}

// analyze tells what a query such as acestream:?infohash=... names.
func (s *server) analyze(w http.ResponseWriter, r *http.Request, q url.Values) {
	selector, err := parseQuery(q.Get("query"))
	if err != nil {
		failAPI(w, badRequest(err))
		return
	}
	info, err := s.engine.Inspect(r.Context(), native.Request{Content: selector, File: native.FileAuto})
	if err != nil {
		failAPI(w, err)
		return
	}
	title := q.Get("title")
	if title == "" {
		title = info.Name
	}
	writeJSON(w, map[string]any{"result": map[string]any{
		"is_live": asInt(info.Live), "item_url": q.Get("query"), "infohash": info.Infohash,
		"transport_type": "bt", "content_type": "transport_file", "title": title, "categories": []string{},
	}})
}

// deliveryWord is the word of API version 3 for how a content is delivered.
func deliveryWord(info native.Info) string {
	if info.Live {
		return "live"
	}
	return "vod"
}

// parseQuery reads what analyze_content takes: acestream:?infohash=...,
// acestream:?content_id=..., acestream://<content id>, a magnet link or the
// address of a transport file.
func parseQuery(query string) (content.Selector, error) {
	query = strings.TrimSpace(query)
	scheme, rest, _ := strings.Cut(query, ":")
	switch strings.ToLower(scheme) {
	case "acestream":
		if params, ok := strings.CutPrefix(rest, "?"); ok {
			values, err := url.ParseQuery(params)
			if err != nil {
				return content.Selector{}, errors.New("query is neither acestream:?infohash=<infohash> nor acestream:?content_id=<id>")
			}
			return content.FromQuery(values)
		}
		return content.New(content.ContentID, strings.Trim(rest, "/"))
	case "magnet":
		return content.New(content.Magnet, query)
	case "http", "https":
		return content.New(content.URL, query)
	}
	return content.Selector{}, errors.New("unknown protocol")
}

// failAPI answers with the error of a method of API version 3, in the words of
// the official engine.
func failAPI(w http.ResponseWriter, err error) {
	f := failure(err)
	text := "cannot get transport file"
	if f.Reason == native.BadRequest {
		text = f.Detail
	}
	writeAPIError(w, text, &extra{f.Reason, f.Detail})
}

// connected reports whether this machine has an address that leads beyond it.
func connected() bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return true
		}
	}
	return false
}
