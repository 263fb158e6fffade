package player

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"VLC/3.0.20 LibVLC/3.0.20": "VLC",
		"libmpv":                   "mpv",
		"mpv 0.37.0":               "mpv",
		"Kodi/20.2 (Linux; Android 12.0) App_Bitness/64":        "Kodi",
		"TiviMate/4.7.0 (Linux;Android 11) ExoPlayerLib/2.18.1": "TiviMate",
		"OTT Navigator/1.7.1.4 (Linux; Android 11)":             "OTT Navigator",
		"IPTVSmartersPro/3.1.5":                                 "IPTV Smarters",
		"ExoPlayerLib/2.18.1":                                   "ExoPlayer",
		"MyApp/1 (Linux;Android 14) AndroidXMedia3/1.2.0":       "ExoPlayer",
		"Lavf/60.16.100":                                        "ffmpeg",
		"Jellyfin-Server/10.10.3":                               "Jellyfin",
		"PlexMediaServer/1.40":                                  "Plex",
		"AppleCoreMedia/1.0.0.20E241 (Apple TV; U; CPU OS 16_0 like Mac OS X; de_de)":                           "Apple",
		"stagefright/1.2 (Linux;Android 12)":                                                                    "Android",
		"Dalvik/2.1.0 (Linux; U; Android 13)":                                                                   "Android",
		"Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0 Safari/537.36":       "Chrome",
		"Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123 Safari/537 Edg/123.0":  "Edge",
		"Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15":         "Safari",
		"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/76 TV Safari/5": "Samsung TV",
		"curl/8.5.0":                             "curl",
		"":                                       "",
		"  ":                                     "",
		"Own Thing/1.0":                          "Own",
		"Zattoo<script>/2":                       "Zattoo<script>",
		"\x00\x1b[31mred/1":                      "[31mred",
		"ünïcode-player/1.0":                     "ncode-player",
		"a-word-without-end-that-goes-on-and-on": "a-word-without-end-that-",
	} {
		if got := Name(agent); got != want {
			t.Errorf("Name(%q) = %q, want %q", agent, got, want)
		}
	}
}

// No token hides one below it: every name can be reached.
func TestEveryTokenCounts(t *testing.T) {
	t.Parallel()
	for _, n := range names {
		if n.token != strings.ToLower(n.token) {
			t.Errorf("%q is not in lower case, and never fits", n.token)
		}
		if got := Name(n.token); got != n.name {
			t.Errorf("Name(%q) = %q, want %q", n.token, got, n.name)
		}
	}
}
