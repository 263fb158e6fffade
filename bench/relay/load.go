package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
	"github.com/acequia-tv/acequia/internal/engine"
	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

// joinPatience is how long all viewers together may take to get a first byte.
const joinPatience = time.Minute

// dialsAtOnce bounds the viewers that connect at the same time: more are more
// than the queue of a listener holds.
const dialsAtOnce = 64

// watched is what all viewers saw of one measurement. Times are milliseconds.
type watched struct {
	Bytes   int64 `json:"bytes"`   // of the content, in the time measured
	Packets int64 `json:"packets"` // like those below: from the first byte to the end of the measurement
	Lost    int64 `json:"lost"`
	Wrong   int64 `json:"wrong"` // repeated, damaged, out of order or of another content
	Closed  int64 `json:"closed"`

	// How old packets were when they came: the time since the broadcaster sent
	// them; and the same for a reader of the engine itself, where there is one.
	AgeP50    float64 `json:"age_p50"`
	AgeP99    float64 `json:"age_p99"`
	EngineP50 float64 `json:"engine_p50,omitempty"`
	EngineP99 float64 `json:"engine_p99,omitempty"`
	GapP50    float64 `json:"gap_p50"` // the longest silence of each viewer: the median of all
	GapMax    float64 `json:"gap_max"` // and the longest
}

// joins is what viewers saw that came one by one while the others watched.
type joins struct {
	Count int     `json:"count"`
	Bad   int     `json:"bad"` // got nothing, wrong bytes, or did not begin where a decoder can
	P50   float64 `json:"p50"` // milliseconds from dialling to the first byte of the content
	P99   float64 `json:"p99"`
}

// load is all viewers.
type load struct {
	base      string
	contents  int
	schedules []*enginetest.Broadcast
	viewers   []*viewer
	reference *viewer // reads from the engine itself; nil without one
	ages      histogram
	direct    histogram
	measuring atomic.Bool
}

// runLoad watches until its input ends.
func runLoad(ctx context.Context, args []string, stdio stdio) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	base := flags.String("base", "", "address of acequia, or of the floor")
	contents := flags.Int("contents", 1, "contents watched")
	viewers := flags.Int("viewers", 1, "viewers of each")
	rate := flags.Int("rate", 625_000, "bytes per second of each content")
	reference := flags.String("reference", "", "address of an engine to read the first content from")
	if err := flags.Parse(args); err != nil {
		return err
	}
	l := &load{base: *base, contents: *contents}
	for i := range *contents {
		b, err := enginetest.NewBroadcast(infohash(i), *rate)
		if err != nil {
			return err
		}
		l.schedules = append(l.schedules, b)
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	if *reference != "" {
		if err := l.readEngine(ctx, *reference, &work); err != nil {
			return err
		}
	}
	if err := l.join(ctx, *viewers, &work); err != nil {
		return err
	}
	return listenToCommands(stdio, func(name, arg string) (any, error) {
		switch name {
		case "joined":
			return true, nil
		case "begin":
			l.begin()
			return true, nil
		case "end":
			return l.end(), nil
		case "join":
			n, err := strconv.Atoi(arg)
			if err != nil {
				return nil, err
			}
			return l.joinOneByOne(ctx, n)
		}
		return nil, errors.New("unknown command")
	})
}

// join has all viewers join, and waits until each has its first byte.
func (l *load) join(ctx context.Context, perContent int, work *sync.WaitGroup) error {
	ctxJoin, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	first := make(chan error, perContent*l.contents)
	turns := make(chan struct{}, dialsAtOnce)
	for i := range perContent * l.contents {
		v := l.newViewer(i%l.contents, &l.ages)
		l.viewers = append(l.viewers, v)
		work.Go(func() {
			turns <- struct{}{}
			body, err := v.open(ctxJoin, ctx, l.base)
			<-turns
			first <- err
			if err == nil {
				v.watch(body)
			}
		})
	}
	for range l.viewers {
		if err := <-first; err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	return nil
}

func (l *load) newViewer(i int, ages *histogram) *viewer {
	return &viewer{
		infohash: infohash(i), schedule: l.schedules[i], verifier: enginetest.NewVerifier(infohash(i)),
		ages: ages, measuring: &l.measuring,
	}
}

// readEngine opens a session on an engine and reads it as acequia would.
func (l *load) readEngine(ctx context.Context, base string, work *sync.WaitGroup) error {
	client, err := engine.NewClient(base)
	if err != nil {
		return err
	}
	session, err := client.Open(ctx, content.Selector{Kind: content.Infohash, Value: infohash(0)}, engine.OpenOptions{})
	if err != nil {
		return err
	}
	playback, err := client.Play(ctx, session, engine.PlayOptions{})
	if err != nil {
		return err
	}
	l.reference = l.newViewer(0, &l.direct)
	work.Go(func() {
		defer playback.Body.Close()
		l.reference.watch(playback.Body)
	})
	return nil
}

// all is every viewer and the reader of the engine.
func (l *load) all() []*viewer {
	if l.reference == nil {
		return l.viewers
	}
	return append(slices.Clone(l.viewers), l.reference)
}

// begin starts a measurement.
func (l *load) begin() {
	l.ages.reset()
	l.direct.reset()
	for _, v := range l.all() {
		v.begin()
	}
	l.measuring.Store(true)
}

// end ends it.
func (l *load) end() watched {
	l.measuring.Store(false)
	var sum watched
	var gaps []float64
	for _, v := range l.viewers {
		s := v.seen()
		sum.Bytes += s.bytes
		sum.Packets += s.report.Packets
		sum.Lost += s.report.Lost
		// A gap is told as lost packets and as one jump of a continuity counter.
		sum.Wrong += s.report.Repeats + s.report.Foreign + s.report.Corrupt + max(0, s.report.Continuity-2*s.report.Gaps)
		if s.ended {
			sum.Closed++
		}
		gaps = append(gaps, milliseconds(s.gap))
	}
	slices.Sort(gaps)
	sum.GapP50, sum.GapMax = quantile(gaps, 0.5), quantile(gaps, 1)
	sum.AgeP50, sum.AgeP99 = l.ages.quantile(0.5), l.ages.quantile(0.99)
	if l.reference != nil {
		sum.EngineP50, sum.EngineP99 = l.direct.quantile(0.5), l.direct.quantile(0.99)
	}
	return sum
}

// joinPause lies between two viewers that join one by one.
const joinPause = 25 * time.Millisecond

func (l *load) joinOneByOne(ctx context.Context, n int) (joins, error) {
	var sum joins
	var took []float64
	for i := range n {
		if err := pause(ctx, joinPause); err != nil {
			return sum, err
		}
		sum.Count++
		v := l.newViewer(i%l.contents, &l.ages)
		d, err := v.sample(ctx, l.base)
		if err != nil {
			sum.Bad++
			continue
		}
		took = append(took, milliseconds(d))
	}
	slices.Sort(took)
	sum.P50, sum.P99 = quantile(took, 0.5), quantile(took, 0.99)
	return sum, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
