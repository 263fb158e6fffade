package compat

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/acequia-tv/acequia/internal/content"
)

// aceProxyKinds are HTTPAceProxy's words for the names of contents.
var aceProxyKinds = map[string]content.Kind{
	"pid":        content.ContentID,
	"content_id": content.ContentID,
	"infohash":   content.Infohash,
	"url":        content.URL,
	"torrent":    content.URL,
}

// AceProxy answers on HTTPAceProxy's addresses, /pid/<id>/stream.ts and its
// like, so that the lists made for it play here. It has the form
//
//	/<kind>/<name>[/<file>[/<anything>...]]/<anything>.<extension>
//
// where file is the index of one of several files
// (https://github.com/pepsik-kiev/HTTPAceProxy, README.md; acehttp.py says that
// what comes after the file is developer, affiliate, zone and stream, which are
// of no use here). An extension of m3u8 asks for HLS, any other plays.
//
// play is the handler of /ace/getstream. It is safe for concurrent use.
func AceProxy(play http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, hls, ok := aceProxyQuery(r.URL.EscapedPath())
		if !ok {
			http.Error(w, "not an address of HTTPAceProxy: /pid/<content id>/stream.ts, /infohash/<infohash>/stream.ts, "+
				"or .m3u8 in the place of .ts", http.StatusNotFound)
			return
		}
		if hls {
			w.Header().Set("Access-Control-Allow-Origin", "*") // web players follow, where they may
			http.Redirect(w, r, "/ace/manifest.m3u8?"+query, http.StatusFound)
			return
		}
		inner := r.Clone(r.Context())
		inner.URL = &url.URL{Path: "/ace/getstream", RawQuery: query}
		play.ServeHTTP(w, inner)
	})
}

// AceProxyRoutes returns the addresses that [AceProxy] answers on.
func AceProxyRoutes(play http.Handler) []Route {
	h := AceProxy(play)
	var routes []Route
	for kind := range aceProxyKinds {
		routes = append(routes, Route{Pattern: "/" + kind + "/", Access: Plays, Handler: h})
	}
	return routes
}

// aceProxyQuery translates a path, still escaped, into the query of
// /ace/getstream.
func aceProxyQuery(escaped string) (query string, hls, ok bool) {
	parts := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	if len(parts) < 3 {
		return "", false, false
	}
	kind, known := aceProxyKinds[parts[0]]
	last := parts[len(parts)-1]
	extension := path.Ext(last)
	name, err := url.PathUnescape(parts[1])
	if !known || name == "" || err != nil || extension == "" {
		return "", false, false
	}
	q := url.Values{queryName(kind): {name}}
	if len(parts) > 3 && parts[2] != "0" { // lists put a 0 there for whatever plays
		q.Set("_idx", parts[2])
	}
	return q.Encode(), strings.EqualFold(extension, ".m3u8"), true
}

// queryName is what the query of /ace/getstream calls a kind of name.
func queryName(kind content.Kind) string {
	if kind == content.ContentID {
		return "id"
	}
	return string(kind)
}
