// Package timeshift keeps the last minutes of live streams on disk, so that
// viewers can go further back than memory reaches.
//
// A [Store] is a directory for all streams, with one bound on the bytes and
// one on the space that is left on the disk. A [Recording] is what is kept of
// one stream: an unbroken run of its bytes up to now, in files of some
// megabytes of which the oldest are removed, with an index of the places at
// which a decoder can start. Positions are those of the stream's ring, so that
// a reader passes from one to the other at any byte.
//
// What is kept lives no longer than the process: it is of use only to who
// watches the stream, and a file that nobody knows is rubbish.
//
// The package has no clock: the time is passed in.
package timeshift

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
)

// Config bounds what is kept.
type Config struct {
	// Keep is how much of each stream is kept, in its media time.
	Keep time.Duration
	// Limit is the most bytes kept of all streams together.
	Limit int64
}

const (
	// slack is kept of each stream beyond what was asked for, so that a viewer as far
	// behind as that does not fall out of it.
	slack = 30 * time.Second
	// maxFile and minFile bound the size at which the next file is begun: it is the
	// unit in which room is made. A limit has room for filesPerLimit of them.
	maxFile       = 16 << 20
	minFile       = 1 << 20
	filesPerLimit = 64
	// keptFree is how much of the disk is left free, for others and for what the system
	// itself writes there; a tenth of a disk that is smaller than ten times that.
	keptFree = 1 << 30
)

var (
	// ErrNoRoom says that the limit of the store, or the space on the disk, leaves
	// no room, and there is nothing older that could be removed.
	ErrNoRoom = errors.New("no room on disk")
	// ErrGone says that the bytes asked for are not kept any more, or never were.
	ErrGone = errors.New("position no longer kept")
	// errClosed says that the store or the recording was closed.
	errClosed = errors.New("closed")
)

// A Store is where recordings are. It is safe for concurrent use.
type Store struct {
	cfg      Config
	fs       FS
	log      *slog.Logger
	fileSize int64
	close    func() error // ends the use of fs; nil if there is nothing to do

	mu         sync.Mutex // guards what follows, and the recordings' state; never held across I/O
	recordings map[*Recording]struct{}
	size       int64 // bytes in files, and about to be written
	serial     int64 // of the last file
	closed     bool
}

// Open makes a store of a directory, which it creates, and of which it takes possession:
// what an earlier process left there is removed, and another process that has
// it is an error.
func Open(dir string, cfg Config, log *slog.Logger) (*Store, error) {
	d, err := openDisk(dir)
	if err != nil {
		return nil, fmt.Errorf("open directory for time shift %s: %w", dir, err)
	}
	s := New(d, cfg, log)
	s.close = d.Close
	return s, nil
}

// New makes a store of a file system that has no files of another store.
func New(fs FS, cfg Config, log *slog.Logger) *Store {
	return &Store{
		cfg: cfg, fs: fs, log: log, recordings: make(map[*Recording]struct{}),
		fileSize: min(maxFile, max(minFile, cfg.Limit/filesPerLimit)),
	}
}

// Close removes everything. Recordings that are still in use keep nothing any more. Only the
// first call counts.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	var all []*file
	for r := range s.recordings {
		all = append(all, r.clear()...)
	}
	s.mu.Unlock()
	s.remove(all)
	if s.close == nil {
		return nil
	}
	return s.close()
}

// Size returns the bytes kept of all streams.
func (s *Store) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// Record begins a recording. Whoever called it is its first holder.
func (s *Store) Record() *Recording {
	r := &Recording{store: s, holders: 1, prefaces: make(map[string][]byte)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recordings[r] = struct{}{}
	return r
}

// keep is how much is kept of each stream, in ticks of media time.
func (s *Store) keep() int64 { return ticks(s.cfg.Keep + slack) }

// ticks converts to the unit of media time.
func ticks(d time.Duration) int64 { return int64(d.Seconds() * mpegts.ClockRate) }

func duration(t int64) time.Duration {
	return time.Duration(float64(t) / mpegts.ClockRate * float64(time.Second))
}

// reserve makes room for n bytes, which count as kept from then on. What is oldest goes
// first, of whatever stream it is. The error is [ErrNoRoom], or that of the file
// system.
func (s *Store) reserve(n int64) error {
	spare, err := s.spare()
	if err != nil {
		return err
	}
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return errClosed
		}
		fits := s.size+n <= s.cfg.Limit && n <= spare
		if fits {
			s.size += n
		}
		s.mu.Unlock()
		if fits {
			return nil
		}
		freed := s.evict()
		if freed == 0 {
			return ErrNoRoom
		}
		spare += freed
	}
}

// spare returns how many bytes may be written before the disk has no more free than
// is to be left.
func (s *Store) spare() (int64, error) {
	free, size, err := s.fs.Space()
	if err != nil {
		return 0, fmt.Errorf("ask for free space: %w", err)
	}
	return free - min(keptFree, size/10), nil
}

// release takes back a part of a reservation that was not written.
func (s *Store) release(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size -= n
}

// evict removes the oldest file of all that are complete, and returns its size, 0
// if there is none.
func (s *Store) evict() (freed int64) {
	s.mu.Lock()
	var oldest *Recording
	for r := range s.recordings {
		if len(r.files) > 1 && (oldest == nil || r.files[0].began.Before(oldest.files[0].began)) {
			oldest = r
		}
	}
	if oldest == nil {
		s.mu.Unlock()
		return 0
	}
	oldest.cut = true
	victim := oldest.files[0]
	oldest.drop(1)
	freed = victim.size
	s.mu.Unlock()
	s.remove([]*file{victim})
	return freed
}

// remove deletes files that no recording has any more. Whoever reads one reads on.
func (s *Store) remove(files []*file) {
	for _, f := range files {
		if err := s.fs.Remove(f.name); err != nil {
			s.log.Warn("file of time shift cannot be removed", "file", f.name, "err", err)
		}
	}
}

// fileAt returns the index of the file that pos would be in, -1 if all are behind it.
func fileAt(files []*file, pos int64) int {
	i, found := slices.BinarySearchFunc(files, pos, func(f *file, pos int64) int {
		switch {
		case f.from > pos:
			return 1
		case f.from < pos:
			return -1
		}
		return 0
	})
	if found {
		return i
	}
	return i - 1
}
