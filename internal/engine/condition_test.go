package engine_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/acequia-tv/acequia/internal/engine"
)

func TestCondition(t *testing.T) {
	t.Parallel()
	const network, status, token = "get_network_connection_status", "get_status", "get_api_access_token"
	for _, test := range []struct {
		name    string
		answers map[string]string // by method
		want    engine.Condition
		fails   bool
		token   string
	}{
		{"an official engine", map[string]string{
			network: `{"result":{"connected":true}}`, status: `{"result":{"playlist_loaded":true}}`, token: `{"result":{"token":"f00"}}`,
		}, engine.Condition{Connected: true, Sessions: -1, CacheUsed: -1}, false, "f00"},
		{"a native engine", map[string]string{
			network: `{"result":{"connected":false}}`, status: `{"result":{"sessions":2,"cache_used":1024}}`,
		}, engine.Condition{Connected: false, Sessions: 2, CacheUsed: 1024}, false, ""},
		{"one that knows neither", map[string]string{}, engine.Condition{Connected: true, Sessions: -1, CacheUsed: -1}, false, ""},
		{"nonsense", map[string]string{network: `<html>`, status: `{"result":{}}`, token: `{"result":{}}`}, engine.Condition{}, true, ""},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer, ok := test.answers[r.URL.Query().Get("method")]
			if !ok {
				answer = `{"error":{"message":"unknown method","code":0}}`
			}
			io.WriteString(w, answer)
		}))
		t.Cleanup(server.Close)
		client, err := engine.NewClient(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Condition(t.Context())
		if got != test.want || (err != nil) != test.fails {
			t.Errorf("%s: %+v, %v", test.name, got, err)
		}
		secret, err := client.AccessToken(t.Context())
		if secret != test.token || (err == nil) != (test.token != "") {
			t.Errorf("%s: token %q, %v", test.name, secret, err)
		}
	}
}
