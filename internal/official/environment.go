package official

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/acequia-tv/acequia/internal/config"
)

// Aliases are the variables by which images of the official engine take their
// settings (https://github.com/krinkuto11/acestream-http-proxy,
// https://github.com/martinbjeldbak/acestream-http-proxy), so that a compose
// file made for one of them works.
func Aliases() []config.Alias {
	return []config.Alias{
		{Variable: "HTTP_PORT", Key: "engine.http_port"},
		{Variable: "HTTPS_PORT", Key: "engine.https_port"},
		{Variable: "P2P_PORT", Key: "engine.p2p_port"},
		{Variable: "INTERNAL_BUFFERING", Key: "engine.internal_buffering", Text: zeroOrMore},
		{Variable: "CACHE_LIMIT", Key: "engine.cache_limit", Text: gigabytes},
		{Variable: "ALLOW_REMOTE_ACCESS", Key: "engine.bind_all"},
		{Variable: "BIND_ALL", Key: "engine.bind_all", Text: anyText},
		{Variable: "EXTRA_FLAGS", Key: "official.extra_flags"},
	}
}

// gigabytes reads a cache limit as those images pass it to --cache-limit: a
// whole number of gigabytes.
func gigabytes(text string) (string, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return "", fmt.Errorf("%q is not a number of gigabytes: write one such as 5, or use %s with a unit", text, "ACEQUIA_ENGINE_CACHE_LIMIT")
	}
	return strconv.Itoa(n) + "GiB", nil
}

// zeroOrMore reads INTERNAL_BUFFERING, which is passed to a flag that is on with
// any number but 0. What is no number is read as any boolean.
func zeroOrMore(text string) (string, error) {
	if n, err := strconv.Atoi(text); err == nil {
		return strconv.FormatBool(n != 0), nil
	}
	return text, nil
}

// anyText reads BIND_ALL, which is on with any text. Nobody who writes "false"
// means that, so the words for off are refused rather than taken either way.
func anyText(text string) (string, error) {
	switch strings.ToLower(text) {
	case "false", "no", "off", "0":
		return "", fmt.Errorf("%q: in the image that this name is from, any text means on; leave it empty for off", text)
	}
	return "true", nil
}
