// Package player tells players apart by what they say of themselves in the
// User-Agent header.
//
// It is a leaf: one pure function.
package player

import "strings"

// names are what User-Agents of players contain, in lower case, and what people
// call the player. The first that fits counts: apps come before the libraries
// that they are made of, as some name both, and servers before the tools that
// they run.
var names = []struct{ token, name string }{
	{"tivimate", "TiviMate"},
	{"ott navigator", "OTT Navigator"},
	{"ott-navigator", "OTT Navigator"},
	{"iptvsmarters", "IPTV Smarters"},
	{"smarters", "IPTV Smarters"},
	{"perfectplayer", "Perfect Player"},
	{"perfect player", "Perfect Player"},
	{"televizo", "Televizo"},
	{"gsesmartiptv", "GSE Smart IPTV"},
	{"gse_smart_iptv", "GSE Smart IPTV"},
	{"xciptv", "XCIPTV"},
	{"mxplayer", "MX Player"},
	{"implayer", "iMPlayer"},
	{"jellyfin", "Jellyfin"},
	{"emby", "Emby"},
	{"plex", "Plex"},
	{"channels", "Channels"},
	{"tvheadend", "Tvheadend"},
	{"threadfin", "Threadfin"},
	{"xteve", "xTeVe"},
	{"dispatcharr", "Dispatcharr"},
	{"kodi", "Kodi"},
	{"movian", "Movian"},
	{"vlc", "VLC"},
	{"mpv", "mpv"},
	{"mplayer", "MPlayer"},
	{"infuse", "Infuse"},
	{"streamlink", "Streamlink"},
	{"enigma2", "Enigma2"},
	{"roku", "Roku"},
	{"exoplayer", "ExoPlayer"},
	{"androidxmedia3", "ExoPlayer"},
	{"stagefright", "Android"},
	{"applecoremedia", "Apple"},
	{"gstreamer", "GStreamer"},
	{"lavf/", "ffmpeg"},
	{"ffmpeg", "ffmpeg"},
	{"tizen", "Samsung TV"},
	{"web0s", "LG TV"},
	{"webos", "LG TV"},
	{"okhttp", "Android"},
	{"dalvik", "Android"},
	{"curl/", "curl"},
	{"wget/", "Wget"},
	// Browsers say that they are each other: the last word of it is the true one.
	{"edg/", "Edge"},
	{"opr/", "Opera"},
	{"firefox/", "Firefox"},
	{"chrome/", "Chrome"},
	{"safari/", "Safari"},
}

// longest bounds the name of a player that is not known, in bytes.
const longest = 24

// Name returns the short name of the player that sent a User-Agent: one that
// people know, or else the agent's own first word in printable ASCII, 24 bytes
// at most. It is empty where the player says nothing.
func Name(agent string) string {
	lower := strings.ToLower(agent)
	for _, n := range names {
		if strings.Contains(lower, n.token) {
			return n.name
		}
	}
	word := strings.TrimSpace(agent)
	if end := strings.IndexAny(word, "/ (;"); end >= 0 {
		word = word[:end]
	}
	word = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, word)
	return word[:min(len(word), longest)]
}
