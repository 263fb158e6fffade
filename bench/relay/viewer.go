package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/acequia-tv/acequia/internal/engine/enginetest"
)

const (
	// receiveSize is what a viewer takes from its socket at once, at most.
	receiveSize = 64 << 10
	// sampleSize is how much a viewer takes that only tries to join.
	sampleSize = 64 << 10
	// ageStep is of how many packets the age of one is noted.
	ageStep = 16
)

// viewer is a player that checks what it gets.
type viewer struct {
	infohash  string
	schedule  *enginetest.Broadcast
	ages      *histogram
	measuring *atomic.Bool

	mu       sync.Mutex // guards what follows
	verifier *enginetest.Verifier
	bytes    int64         // since the measurement began
	last     time.Time     // of the last bytes
	gap      time.Duration // longest time without, since the measurement began
	ended    bool
}

// seen is what a viewer saw.
type seen struct {
	report enginetest.Report
	bytes  int64
	gap    time.Duration
	ended  bool
}

func (v *viewer) begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.bytes, v.gap = 0, 0
	v.last = time.Now()
}

func (v *viewer) seen() seen {
	v.mu.Lock()
	defer v.mu.Unlock()
	gap := max(v.gap, time.Since(v.last))
	return seen{report: v.verifier.Report(), bytes: v.bytes, gap: gap, ended: v.ended}
}

// response is the body of an answer with the socket that it comes from.
type response struct {
	io.Reader
	closed func()
}

func (r response) Close() error {
	r.closed()
	return nil
}

// open asks for the content and returns its bytes once there are some. ctx
// bounds that, life the reading afterwards.
func (v *viewer) open(ctx, life context.Context, base string) (io.ReadCloser, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		return nil, err
	}
	stopEarly := context.AfterFunc(ctx, func() { conn.Close() })
	stop := context.AfterFunc(life, func() { conn.Close() })
	body := response{closed: func() { stop(); conn.Close() }}
	fail := func(err error) (io.ReadCloser, error) {
		stopEarly()
		_ = body.Close() // the error that led here says more
		return nil, err
	}
	if _, err := fmt.Fprintf(conn, "GET /ace/getstream?infohash=%s HTTP/1.1\r\nHost: bench\r\nUser-Agent: acequia-bench\r\n\r\n", v.infohash); err != nil {
		return fail(err)
	}
	// Reads of the content are larger than this buffer, and pass it by.
	res, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // ends with the connection
	if err != nil {
		return fail(err)
	}
	if res.StatusCode != http.StatusOK {
		return fail(fmt.Errorf("answered %s", res.Status))
	}
	first := bufio.NewReaderSize(res.Body, 16)
	if _, err := first.Peek(1); err != nil {
		return fail(err)
	}
	if !stopEarly() {
		return fail(context.Cause(ctx))
	}
	body.Reader = first
	return body, nil
}

// watch takes the content until it ends.
func (v *viewer) watch(body io.ReadCloser) {
	defer body.Close()
	buf := make([]byte, receiveSize)
	for {
		n, err := body.Read(buf)
		now := time.Now()
		v.take(buf[:n], now)
		if err != nil {
			v.mu.Lock()
			v.ended = true
			v.mu.Unlock()
			return
		}
	}
}

// take checks bytes, and notes how old they are.
func (v *viewer) take(p []byte, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.verifier.Report().Last
	_, _ = v.verifier.Write(p) // never fails
	after := v.verifier.Report().Last
	measuring := v.measuring.Load()
	if measuring {
		v.bytes += int64(len(p))
		v.gap = max(v.gap, now.Sub(v.last))
	}
	v.last = now
	if !measuring || before < 0 || after <= before {
		return
	}
	age := now.Sub(enginetest.DefaultEpoch)
	oldest, newest := age-v.schedule.Time(before+1), age-v.schedule.Time(after)
	packets := after - before
	for i := int64(0); i < packets; i += ageStep {
		v.ages.add(oldest - (oldest-newest)*time.Duration(i)/time.Duration(packets))
	}
}

// sample joins, takes the beginning of the content and leaves. It returns how
// long the first byte took.
func (v *viewer) sample(ctx context.Context, base string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	began := time.Now()
	body, err := v.open(ctx, ctx, base)
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	defer body.Close()
	if _, err := io.CopyN(v.verifier, body, sampleSize); err != nil {
		return took, err
	}
	r := v.verifier.Report()
	if err := r.Err(); err != nil {
		return took, err
	}
	if !r.TablesFirst || !r.RandomAccess {
		return took, fmt.Errorf("begins with tables: %v, at a random access point: %v", r.TablesFirst, r.RandomAccess)
	}
	return took, nil
}
