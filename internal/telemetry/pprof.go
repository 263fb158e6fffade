package telemetry

import (
	"net/http"
	"net/http/pprof"
)

// ProfilePath is where [ProfileHandler] expects to be mounted.
const ProfilePath = "/debug/pprof/"

// ProfileHandler serves the profiles of this process below [ProfilePath].
// Profiles show names, arguments and memory sizes: mount it only behind a switch.
//
// Importing net/http/pprof also registers with [http.DefaultServeMux], which
// this program never serves.
func ProfileHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(ProfilePath, pprof.Index)
	mux.HandleFunc(ProfilePath+"cmdline", pprof.Cmdline)
	mux.HandleFunc(ProfilePath+"profile", pprof.Profile)
	mux.HandleFunc(ProfilePath+"symbol", pprof.Symbol)
	mux.HandleFunc(ProfilePath+"trace", pprof.Trace)
	return mux
}
