package remote

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/client"
)

// Outcomes of a session, as the API has them, that say more than how an engine
// did.
const (
	opened    = "opened"
	firstByte = "first_byte"
)

// mostReports bounds what is still to be told of one lease.
const mostReports = 8

// lease is one borrowed slot. Its keeper is the only one who calls the API, so
// that reports arrive in order and nothing after the end.
type lease struct {
	api   API
	log   *slog.Logger
	id    string
	end   <-chan struct{} // closed when all leases are to end
	wake  chan struct{}   // capacity 1: there is something to tell
	every time.Duration   // between renewals

	// leaving is closed, by the keeper, when the stream had better move.
	leaving chan struct{}
	left    bool // leaving is closed; the keeper's

	claim client.LeaseClaim // the keeper's

	mu       sync.Mutex // guards what follows
	reports  []client.LeaseReport
	released bool
}

// report has something told. What is too much is dropped: it is only about how
// engines are judged.
func (l *lease) report(r client.LeaseReport) {
	l.mu.Lock()
	if len(l.reports) < mostReports {
		l.reports = append(l.reports, r)
	}
	l.mu.Unlock()
	l.kick()
}

// release has the slot given back.
func (l *lease) release() {
	l.mu.Lock()
	l.released = true
	l.mu.Unlock()
	l.kick()
}

func (l *lease) kick() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take returns what is to be done.
func (l *lease) take() (reports []client.LeaseReport, released bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reports, l.reports = l.reports, nil
	return reports, l.released
}

// keep renews the lease until it is released or all end, and ends it.
func (l *lease) keep() {
	due := time.NewTimer(l.every)
	defer due.Stop()
	renewed := time.Now()
	for ending := false; ; {
		select {
		case <-due.C:
			if err := l.renew(); err != nil {
				l.lost(err, time.Since(renewed))
				due.Reset(retry)
			} else {
				renewed = time.Now()
				due.Reset(l.every)
			}
		case <-l.wake:
		case <-l.end:
			ending = true
		}
		reports, released := l.take()
		heard := true // where one is not, the next would not be either
		for _, r := range reports {
			l.claim.Playing = l.claim.Playing || r.Outcome == firstByte
			heard = heard && l.tell(r)
		}
		if released || ending {
			l.giveBack()
			return
		}
	}
}

// call makes one call. It outlives whoever watches: a slot is given back also
// when everything ends.
func call(limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return do(ctx)
}

// renew says that the slot is still in use, and hears whether the engine goes.
func (l *lease) renew() error {
	return call(callTimeout, func(ctx context.Context) error {
		got, err := l.api.RenewLease(ctx, l.id, l.claim)
		if err != nil {
			return err
		}
		l.every = interval(got)
		if got.Leaving != "" {
			l.leave(got.Leaving)
		}
		return nil
	})
}

// lost has the stream move where the slot is not ours any more: the
// orchestrator says so, or has not been heard of for too long.
func (l *lease) lost(err error, since time.Duration) {
	if e, ok := errors.AsType[*client.Error](err); ok {
		switch reason, _ := strings.CutPrefix(e.Code, slotCode); reason {
		case "full", "all_excluded", "no_official", "quarantined":
			l.leave(e.Detail)
			return
		}
	}
	l.log.Debug("lease is not renewed", "for", since, "err", err)
	if since >= Grace {
		l.leave("the orchestrator has not answered for " + Grace.String())
	}
}

func (l *lease) leave(reason string) {
	if l.left {
		return
	}
	l.left = true
	l.log.Info("what plays on the engine is to move", "reason", reason)
	close(l.leaving)
}

// tell reports an outcome, and says whether it was heard.
func (l *lease) tell(r client.LeaseReport) bool {
	err := call(callTimeout, func(ctx context.Context) error { return l.api.ReportLease(ctx, l.id, r) })
	if err != nil {
		l.log.Debug("outcome is not reported", "outcome", r.Outcome, "err", err)
	}
	return err == nil
}

// giveBack ends the lease. Where that fails, it expires.
func (l *lease) giveBack() {
	err := call(endTimeout, func(ctx context.Context) error { return l.api.EndLease(ctx, l.id) })
	if err != nil {
		l.log.Debug("lease is not ended; it expires", "err", err)
	}
}
