// Package message is the catalogue of sentences that people are shown, in
// English and Spanish. Players show them as the reason why a content does not
// play; every surface takes its words from here, so that one thing is said in
// one way.
package message

import (
	"strconv"
	"strings"
)

// Lang is a language of the catalogue.
type Lang string

// The languages of the catalogue. English is the fallback.
const (
	English Lang = "en"
	Spanish Lang = "es"
)

// Key names a sentence.
type Key string

// texts is one sentence in each language.
type texts struct{ en, es string }

// Text returns the sentence of a key. An unknown key is returned as it is:
// a word that says little is better than none.
func Text(lang Lang, key Key) string {
	s, ok := sentence(key)
	if !ok {
		return string(key)
	}
	if lang == Spanish {
		return s.es
	}
	return s.en
}

// sentence finds a key in the catalogue, which is kept in parts.
func sentence(key Key) (texts, bool) {
	s, ok := catalogue[key]
	if !ok {
		s, ok = apiCatalogue[key]
	}
	if !ok {
		s, ok = healthCatalogue[key]
	}
	return s, ok
}

// Preferred picks the language that an Accept-Language header likes best
// (RFC 9110 section 12.5.4).
func Preferred(accept string) Lang {
	best, bestQ := English, -1.0
	for part := range strings.SplitSeq(accept, ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		lang, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		if lang != string(English) && lang != string(Spanish) {
			continue
		}
		if q := quality(params); q > bestQ && q > 0 {
			best, bestQ = Lang(lang), q
		}
	}
	return best
}

// quality reads the weight of a language range, 1 where there is none.
func quality(params string) float64 {
	_, value, found := strings.Cut(strings.ReplaceAll(params, " ", ""), "q=")
	if !found {
		return 1
	}
	q, err := strconv.ParseFloat(value, 64)
	if err != nil || q < 0 || q > 1 {
		return 0
	}
	return q
}
