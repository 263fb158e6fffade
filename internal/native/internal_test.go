package native

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/native/fetch"
	"github.com/acequia-tv/acequia/internal/native/vod"
	"github.com/acequia-tv/acequia/internal/native/vod/vodtest"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	busy := &Error{Reason: Busy, Detail: "full"}
	for _, tt := range []struct {
		err   error
		stats *Stats
		want  Reason
	}{
		{busy, nil, Busy},
		{fmt.Errorf("wrapped: %w", busy), nil, Busy},
		{vod.ErrNoMetadata, nil, NoMetadata},
		{fmt.Errorf("%w: %w", errStartTimeout, vod.ErrNoMetadata), nil, NoMetadata},
		{fmt.Errorf("%w: %w", errStartTimeout, &fetch.Error{Err: vod.ErrNoPeers}), nil, FetchFailed},
		{vod.ErrNoPeers, nil, NoPeers},
		{vod.ErrChoked, nil, Choked},
		{vod.ErrNoFile, nil, NoSuchFile},
		{vod.ErrInvalid, nil, NotATorrent},
		{vod.ErrCacheFull, nil, Busy},
		{vod.ErrClosed, nil, Stopped},
		{errStartTimeout, nil, NoPeers},
		{errStartTimeout, &Stats{}, NoPeers},
		{errStartTimeout, &Stats{Peers: 1}, Choked},
		{errSessionIdle, nil, Stopped},
		{errReplaced, nil, Stopped},
		{errEngineClosed, nil, Stopped},
		{errReaderGivesWay, nil, Busy},
		{context.Canceled, nil, Stopped},
		{errors.New("disk on fire"), nil, Internal},
	} {
		got := explain(tt.err, tt.stats)
		if got.Reason != tt.want || got.Detail == "" || !errors.Is(got, tt.err) && !errors.Is(tt.err, got) {
			t.Errorf("explain(%v, %+v) = %+v, want %q", tt.err, tt.stats, got, tt.want)
		}
	}
}

func TestOldEventsGoFirst(t *testing.T) {
	t.Parallel()
	s := &Session{events: make(chan Event, maxEvents), life: t.Context()}
	for i := range maxEvents + 3 {
		s.emit(Event{Name: strconv.Itoa(i)})
	}
	for i := 3; i < maxEvents+3; i++ {
		if ev, err := s.Next(t.Context()); err != nil || ev.Name != strconv.Itoa(i) {
			t.Fatalf("event %q, %v, want %d", ev.Name, err, i)
		}
	}
}

func TestNameOfKeepsSecretsOut(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"http://user:pass@example.com/dl/a.torrent?apikey=secret": "example.com/.../a.torrent",
		"http://example.com/":                  "example.com",
		"http://example.com":                   "example.com",
		"\x00":                                 "given",
		"http://x/" + strings.Repeat("a", 500): "x/.../" + strings.Repeat("a", 114) + "...",
	} {
		if got := nameOf(address); got != want {
			t.Errorf("nameOf(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestRequestKeepsSecretsOut(t *testing.T) {
	t.Parallel()
	req := Request{Content: content.Selector{Kind: content.URL, Value: "http://example.com/a.torrent?apikey=secret"}}
	if got := req.String(); got != "url example.com/.../a.torrent" {
		t.Errorf("%q", got)
	}
	failure := explain(fmt.Errorf("find %s: %w", req, &fetch.Error{Err: errors.New("the server answered\n404")}), nil)
	if failure.Detail != "the address of the transport file gave nothing: the server answered 404" {
		t.Errorf("%q", failure.Detail)
	}
}

func TestRateMeter(t *testing.T) {
	t.Parallel()
	packet := func(pid uint16, pcr int64) []byte {
		p := make([]byte, 188)
		copy(p, []byte{0x47, byte(pid >> 8), byte(pid), 0x20, 183, 0x10})
		base, ext := pcr/300, pcr%300
		copy(p[6:], []byte{byte(base >> 25), byte(base >> 17), byte(base >> 9), byte(base >> 1), byte(base<<7) | byte(ext>>8), byte(ext)})
		return p
	}
	plain := append([]byte{0x47, 0x00, 0x64, 0x10}, make([]byte, 184)...)
	measure := func(build func(add func([]byte))) int64 {
		var m rateMeter
		build(m.add)
		return m.perSecond()
	}
	// 100 packets every 100 ms.
	const want = 188 * 1000
	steady := func(add func([]byte), from int64, pid uint16) {
		for i := range int64(20) {
			add(packet(pid, from+i*pcrHz/10))
			for range 99 {
				add(plain)
			}
		}
	}
	for name, tt := range map[string]struct {
		build func(add func([]byte))
		want  int64
	}{
		"steady":          {func(add func([]byte)) { steady(add, 0, 100) }, want},
		"around the wrap": {func(add func([]byte)) { steady(add, (300<<33)-pcrHz, 100) }, want},
		"with a break": {func(add func([]byte)) {
			steady(add, 0, 100)
			steady(add, 500*pcrHz, 100)
		}, want},
		"two clocks": {func(add func([]byte)) {
			steady(func(p []byte) {
				add(p)
				if p[3] == 0x20 {
					add(packet(200, 7*pcrHz))
				}
			}, 0, 100)
		}, 188 * 1010},
		"too short":           {func(add func([]byte)) { add(packet(100, 0)); add(packet(100, pcrHz/10)) }, 0},
		"no transport stream": {func(add func([]byte)) { add(vodtest.Bytes(1, 1<<20)) }, 0},
		"a byte after the next": {func(add func([]byte)) {
			steady(func(p []byte) {
				for i := range p {
					add(p[i : i+1])
				}
			}, 0, 100)
		}, want},
	} {
		if got := measure(tt.build); got < tt.want*99/100 || got > tt.want*101/100 {
			t.Errorf("%s: %d bytes a second, want %d", name, got, tt.want)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	e := New(Config{}, Deps{Backend: vodtest.New()})
	e.counters.served.Add(42)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(e.Metrics())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	if len(got) != 10 || got["acequia_engine_served_bytes_total"] != 42 || got["acequia_engine_cache_limit_bytes"] != 1<<30 {
		t.Errorf("metrics %v", got)
	}
}
