package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/message"
	"github.com/acequia-tv/acequia/internal/reconcile"
	"github.com/acequia-tv/acequia/internal/telemetry"
)

var update = flag.Bool("update", false, "rewrite docs/reference/api.md and openapi.json")

// bare is the API with nothing behind it, to be described.
func bare() *API {
	return New(Deps{Events: event.NewLog(1), Build: telemetry.Build{Version: "1"}})
}

// TestReference holds the pages of the API to the code.
func TestReference(t *testing.T) {
	a := bare()
	var page bytes.Buffer
	if err := a.WriteReference(&page); err != nil {
		t.Fatal(err)
	}
	document, err := a.Document()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{"../../docs/reference/api.md": page.Bytes(), "../../docs/reference/openapi.json": document} {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is stale (%v): run make gen", path, err)
		}
	}
}

func TestDocumentSaysWhatIsNeeded(t *testing.T) {
	t.Parallel()
	a := bare()
	data, err := a.Document()
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Summary   string
			Security  []map[string][]string
			Responses map[string]any
		}
	}
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s", document.OpenAPI)
	}
	for _, r := range a.Routes() {
		op, ok := document.Paths[strings.TrimPrefix(r.Path, Prefix)][strings.ToLower(r.Method)]
		if !ok || op.Summary == "" || op.Responses["default"] == nil {
			t.Errorf("%s %s is described as %+v", r.Method, r.Path, op)
			continue
		}
		if r.Scope == auth.Nobody {
			if len(op.Security) != 0 || r.Path != Prefix+"/login" {
				t.Errorf("%s %s is open to everybody", r.Method, r.Path)
			}
			continue
		}
		for _, s := range op.Security {
			for scheme, scopes := range s {
				if len(scopes) != 1 || scopes[0] != string(r.Scope) {
					t.Errorf("%s %s says that %s needs %v; want %s", r.Method, r.Path, scheme, scopes, r.Scope)
				}
			}
		}
		if len(op.Security) != 2 {
			t.Errorf("%s %s: security %v", r.Method, r.Path, op.Security)
		}
	}
}

// Whatever code a problem has, there is a sentence for it.
func TestEveryCodeHasASentence(t *testing.T) {
	t.Parallel()
	codes := []string{
		codeInvalid, codeBadJSON, codeNoRoute, codeMethod, codeTooLarge, codeMediaType, codeTimeout, codeInternal,
		codeStore, codeDiskFull, codeNotFound, codePassword, codeUnsupported, codeConflict, codeLocked,
	}
	for _, reason := range []reconcile.Reason{
		reconcile.ReasonNoEngines, reconcile.ReasonFull, reconcile.ReasonBusy, reconcile.ReasonNoOfficial,
		reconcile.ReasonAllTried, reconcile.ReasonQuarantine, reconcile.ReasonClosed,
	} {
		codes = append(codes, slotCode(reason))
	}
	for reason := range deniedStatus {
		codes = append(codes, string(reason))
	}
	for _, code := range codes {
		if key := message.Key("api." + code); message.Text(message.Spanish, key) == string(key) {
			t.Errorf("%s has no sentence", code)
		}
	}
}
