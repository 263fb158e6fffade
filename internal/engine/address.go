package engine

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// The first elements of the paths that an engine's answers may point at.
const (
	pathProgressive = "/ace/r/"
	pathPlaylist    = "/ace/m/"
	pathSegment     = "/ace/c/"
	pathStat        = "/ace/stat/"
	pathCommand     = "/ace/cmd/"
	pathContent     = "/content/"
)

// localTarget takes a URL from an engine's answer and returns its path with
// query. Only these are kept: engines in containers answer with a loopback or
// container address that means nothing here
// (https://github.com/ikatson/docker-acestream-proxy/issues/1), and a broken or
// hostile engine must not be able to send this client elsewhere. A path that
// does not begin with one of prefixes is refused.
func localTarget(raw string, prefixes ...string) (string, error) {
	if raw == "" {
		return "", errors.New("no address")
	}
	const most = 4 << 10
	if len(raw) > most {
		return "", fmt.Errorf("address is longer than %d bytes", most)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("address %q is not a URL", clean(raw))
	}
	if u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" {
		return "", fmt.Errorf("address %q is not of http", clean(raw))
	}
	if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(u.Path, p) }) {
		return "", fmt.Errorf("address %q is not one that an engine gives here", clean(raw))
	}
	// A dot element or an encoded slash could make a server see another path.
	for element := range strings.SplitSeq(u.Path, "/") {
		if element == "." || element == ".." {
			return "", fmt.Errorf("address %q has a dot element", clean(raw))
		}
	}
	escaped := u.EscapedPath()
	if strings.ContainsAny(u.Path, "\\\x00\r\n") || strings.Contains(strings.ToLower(escaped), "%2f") {
		return "", fmt.Errorf("address %q has an encoded separator", clean(raw))
	}
	if u.RawQuery != "" {
		return escaped + "?" + u.RawQuery, nil
	}
	return escaped, nil
}

// withQuery returns target with name=value added to its query.
func withQuery(target, name, value string) string {
	sep := "?"
	if strings.Contains(target, "?") {
		sep = "&"
	}
	return target + sep + url.QueryEscape(name) + "=" + url.QueryEscape(value)
}
