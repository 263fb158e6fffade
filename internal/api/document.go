package api

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/acequia-tv/acequia/internal/auth"
)

// page to read the document and to try the API. It is whole in itself: nothing
// comes from elsewhere, and no script is in the page.
//
//go:embed page
var pages embed.FS

// pagePolicy keeps the page to what it is made of.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (a *API) documentRoutes() {
	handle(a, operation{
		id: "get-document", method: http.MethodGet, path: "/openapi.json", scope: auth.Read, tag: tagSystem,
		summary: "Get this document", description: "OpenAPI 3.1, made from the code that answers.",
		responses: map[string]*huma.Response{"200": {
			Description: "The document.",
			Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: "object"}}},
		}},
	}, func(context.Context, *none) (*raw, error) {
		document, err := a.Document()
		if err != nil {
			return nil, a.failed(err)
		}
		return &raw{Type: "application/json", Body: document}, nil
	})
	a.mux.HandleFunc("GET "+Prefix+"/docs", a.page)
	for _, file := range []string{"docs.js", "docs.css"} {
		a.mux.HandleFunc("GET "+Prefix+"/"+file, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, pages, "page/"+file)
		})
	}
}

// page answers with the page, which holds nothing but a form to log in until
// somebody has; its status says so.
func (a *API) page(w http.ResponseWriter, r *http.Request) {
	text, err := pages.ReadFile("page/index.html")
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("Content-Type", "text/html; charset=utf-8")
	if _, err := a.Guard.Admit(r, auth.Read); err != nil {
		w.WriteHeader(http.StatusUnauthorized)
	}
	_, _ = w.Write(text) // a client that has gone
}

// Document returns the OpenAPI document, indented and in a fixed order.
func (a *API) Document() ([]byte, error) {
	packed, err := a.huma.OpenAPI().MarshalJSON()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, packed, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
