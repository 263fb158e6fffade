package vod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strconv"
	"sync"
	"time"
)

// spill writes verified pieces that leave memory to files, one per piece, in a
// directory of its own. Playback never waits for it: what cannot be queued is
// dropped, and after an error (a full disk) everything is, for a while.
// It is safe for concurrent use.
type spill struct {
	root *os.Root
	log  *slog.Logger
	wake chan struct{} // has room for one

	mu     sync.Mutex
	jobs   []spillJob // guarded by mu; done in order, by run alone
	until  time.Time  // nothing is written before; guarded by mu
	queued int64      // bytes on the way to disk; guarded by mu
}

// spillJob writes a piece, or removes its file.
type spillJob struct {
	store  *store
	piece  *piece
	buf    *buffer // referenced; nil to remove
	remove bool
}

const (
	// maxLeaving bounds the pieces that have left the window but not memory.
	maxLeaving = 8 << 20
	// spillPause is how long nothing is written after an error.
	spillPause = 30 * time.Second
	// spillDir is made below the directory of the configuration, so that
	// emptying it cannot take away anybody else's files.
	spillDir = "pieces"
)

func newSpill(dir string, log *slog.Logger) (*spill, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make disk cache: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open disk cache: %w", err)
	}
	err = root.RemoveAll(spillDir)
	if err == nil {
		err = root.Mkdir(spillDir, 0o755)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("empty disk cache: %w", err), root.Close())
	}
	return &spill{root: root, log: log, wake: make(chan struct{}, 1)}, nil
}

func fileOf(id string, index int) string {
	return path.Join(spillDir, id, strconv.Itoa(index))
}

// spillLocked queues a verified piece for the disk, if there is one and it
// keeps up. The piece counts as spilled from now on. The caller holds c.mu.
func (c *cache) spillLocked(s *store, p *piece) bool {
	sp := c.spill
	if sp == nil || p.at != inMemory || !p.verified {
		return false
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if time.Now().Before(sp.until) || (sp.queued > 0 && sp.queued+int64(p.length) > maxLeaving) {
		return false
	}
	sp.queued += int64(p.length)
	p.buf.refs++
	sp.addLocked(spillJob{store: s, piece: p, buf: p.buf})
	s.unlinkLocked(p)
	p.at = leaving
	p.elem = s.spilled.PushBack(p)
	return true
}

// discard removes the file of a piece that is gone, soon.
func (sp *spill) discard(s *store, p *piece) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.addLocked(spillJob{store: s, piece: p, remove: true})
}

func (sp *spill) addLocked(j spillJob) {
	sp.jobs = append(sp.jobs, j)
	select {
	case sp.wake <- struct{}{}:
	default:
	}
}

// run does what is queued, until ctx ends.
func (sp *spill) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-sp.wake:
		}
		for _, j := range sp.take() {
			if j.remove {
				sp.remove(j.store.id, j.piece.index)
				continue
			}
			sp.settle(j, sp.write(j))
		}
	}
}

func (sp *spill) take() []spillJob {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	jobs := sp.jobs
	sp.jobs = nil
	return jobs
}

func (sp *spill) write(j spillJob) error {
	err := sp.root.Mkdir(path.Join(spillDir, j.store.id), 0o755)
	if err == nil || errors.Is(err, fs.ErrExist) {
		err = sp.root.WriteFile(fileOf(j.store.id, j.piece.index), j.buf.data, 0o644)
	}
	if err == nil {
		return nil
	}
	sp.remove(j.store.id, j.piece.index) // what was written of it
	sp.mu.Lock()
	sp.until = time.Now().Add(spillPause)
	sp.mu.Unlock()
	sp.log.Warn("disk cache cannot be written; pieces that leave memory are dropped for now", "err", err)
	return err
}

// settle frees the memory of a piece that is on disk now, or drops it.
func (sp *spill) settle(j spillJob, err error) {
	c := j.store.cache
	var evicted []eviction
	c.mu.Lock()
	gone := j.piece.gone
	switch {
	case gone:
	case err != nil:
		evicted = c.evictLocked(j.store, j.piece, nil)
	default:
		j.piece.at = onDisk
		j.piece.buf = nil
		c.mem.release(j.buf)
	}
	c.mem.unref(j.buf)
	c.mu.Unlock()
	if gone {
		sp.remove(j.store.id, j.piece.index)
	}
	sp.mu.Lock()
	sp.queued -= int64(j.piece.length)
	sp.mu.Unlock()
	tell(evicted)
}

func (sp *spill) readAt(id string, index int, b []byte, off int64) (int, error) {
	f, err := sp.root.Open(fileOf(id, index))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.ReadAt(b, off)
}

func (sp *spill) remove(id string, index int) {
	err := sp.root.Remove(fileOf(id, index))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		sp.log.Warn("file of the disk cache cannot be removed", "err", err)
	}
}

// close gives up what is queued and removes every file. run has ended.
func (sp *spill) close(c *cache) error {
	c.mu.Lock()
	for _, j := range sp.take() {
		if j.buf != nil {
			c.mem.unref(j.buf)
		}
	}
	c.mu.Unlock()
	err := errors.Join(sp.root.RemoveAll(spillDir), sp.root.Close())
	if err != nil {
		return fmt.Errorf("empty disk cache: %w", err)
	}
	return nil
}
