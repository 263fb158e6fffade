package store

import (
	"context"
	"database/sql"
	"time"
)

const (
	// queueSize bounds the writes that wait. They are small: an event is well
	// under 1 KiB.
	queueSize = 4096
	// batchSize bounds the writes of one transaction, so that writers of
	// settings and keys do not wait long.
	batchSize = 256
	// gather is how long the first write of a batch waits for others.
	gather = 100 * time.Millisecond
	// retryAfter is the pause before a batch that failed is tried again.
	retryAfter = 5 * time.Second
	// pruneEvery is the pause between two looks at what is too old.
	pruneEvery = time.Hour
	// lastWrites bounds the writing of what is queued when the program ends.
	lastWrites = 2 * time.Second
)

// job is one queued write.
type job struct {
	do   func(ctx context.Context, tx *sql.Tx) error
	done chan struct{} // closed when it was written or given up; may be nil
}

// enqueue hands a write to Run. It never waits.
func (s *Store) enqueue(do func(ctx context.Context, tx *sql.Tx) error) {
	select {
	case s.queue <- job{do: do}:
	default:
		s.counts.dropped.Add(1)
	}
}

// Counts tells how many queued writes were made, and how many were dropped
// because the queue was full or the database refused them.
func (s *Store) Counts() (written, dropped uint64) {
	return s.counts.written.Load(), s.counts.dropped.Load()
}

// Flush waits until all that was queued before is written or given up. It needs
// Run.
func (s *Store) Flush(ctx context.Context) error {
	j := job{do: func(context.Context, *sql.Tx) error { return nil }, done: make(chan struct{})}
	select {
	case s.queue <- j:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Run writes what is queued and prunes what is too old until ctx ends, and then
// writes what is left. It is called once.
func (s *Store) Run(ctx context.Context) error {
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	s.prune(ctx)
	for {
		select {
		case first := <-s.queue:
			s.writeBatch(ctx, s.batch(ctx, first))
		case <-prune.C:
			s.prune(ctx)
		case <-ctx.Done():
			s.writeLast(ctx)
			return nil
		}
	}
}

// batch collects what follows the first write within a moment.
func (s *Store) batch(ctx context.Context, first job) []job {
	jobs := []job{first}
	wait := time.NewTimer(gather)
	defer wait.Stop()
	for len(jobs) < batchSize && jobs[len(jobs)-1].done == nil {
		select {
		case j := <-s.queue:
			jobs = append(jobs, j)
		case <-wait.C:
			return jobs
		case <-ctx.Done():
			return jobs
		}
	}
	return jobs
}

// writeBatch makes the writes in one transaction. Where the trouble may pass,
// it tries again until ctx ends, while the queue fills up.
func (s *Store) writeBatch(ctx context.Context, jobs []job) {
	defer func() {
		for _, j := range jobs {
			if j.done != nil {
				close(j.done)
			}
		}
	}()
	// A batch that was begun is finished: it is small, and ctx ends with the
	// program.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), retryAfter)
	err := s.writeJobs(bounded, jobs)
	cancel()
	s.tell(err)
	for passes(err) {
		pause := time.NewTimer(retryAfter)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			s.counts.dropped.Add(uint64(len(jobs)))
			return
		}
		err = s.writeJobs(ctx, jobs)
		s.tell(err)
	}
	if err != nil {
		s.counts.dropped.Add(uint64(len(jobs)))
	}
}

func (s *Store) writeJobs(ctx context.Context, jobs []job) error {
	err := s.change(ctx, "write to the database", func(tx *sql.Tx) error {
		for _, j := range jobs {
			if err := j.do(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.counts.written.Add(uint64(len(jobs)))
	}
	return err
}

// writeLast makes the writes that are queued when the program ends.
func (s *Store) writeLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	var jobs []job
	for len(s.queue) > 0 {
		jobs = append(jobs, <-s.queue)
	}
	if len(jobs) == 0 {
		return
	}
	if err := s.writeJobs(ctx, jobs); err != nil {
		s.counts.dropped.Add(uint64(len(jobs)))
		s.cfg.Log.Warn("the last writes to the database are lost", "writes", len(jobs), "err", err)
	}
	for _, j := range jobs {
		if j.done != nil {
			close(j.done)
		}
	}
}

// tell tells how a batch went, when that changes.
func (s *Store) tell(err error) {
	if (err != nil) == s.failing {
		return
	}
	s.failing = err != nil
	if s.cfg.Trouble != nil {
		s.cfg.Trouble(err)
	}
}
