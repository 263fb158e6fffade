package content

import (
	"encoding/base32"
	"encoding/hex"
	"net/url"
	"strings"
)

// magnetInfohash reads the v1 infohash of a magnet link: xt=urn:btih: followed
// by 40 hex digits or 32 base32 digits
// (https://www.bittorrent.org/beps/bep_0009.html, "magnet URI format").
func magnetInfohash(link string) (string, bool) {
	u, err := url.Parse(link)
	if err != nil || !strings.EqualFold(u.Scheme, "magnet") {
		return "", false
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", false
	}
	for _, xt := range q["xt"] {
		const prefix = "urn:btih:"
		if len(xt) < len(prefix) || !strings.EqualFold(xt[:len(prefix)], prefix) {
			continue
		}
		v := xt[len(prefix):]
		switch len(v) {
		case 40:
			if lower := strings.ToLower(v); isHex40(lower) {
				return lower, true
			}
		case 32:
			if raw, err := base32.StdEncoding.DecodeString(strings.ToUpper(v)); err == nil {
				return hex.EncodeToString(raw), true
			}
		}
	}
	return "", false
}
