package stream

import (
	"context"
	"time"

	"github.com/acequia-tv/acequia/internal/content"
)

// Name is what an engine told about a name of a content, or what playing it
// showed.
type Name struct {
	Content  content.Selector // a content id or a URL; Kind and Value only
	Infohash string           // 40 lower-case hex digits
	// Mistaken says that Content is called a content id, and is an infohash in
	// truth: it played as one, and not as a content id.
	Mistaken bool
}

// Knowledge remembers names beyond the life of the process, so that a content
// that was played before needs no question to an engine, and two names of it
// meet at once. The hub has it all in memory: it loads when it starts and
// saves behind everybody's back, so that playback waits for neither; and
// nothing but time is lost with what is not saved. The hub calls it from one
// goroutine.
type Knowledge interface {
	// Load returns the names saved before, the longest unsaved first. Of more
	// than [MostNames] the last are used.
	Load(ctx context.Context) ([]Name, error)
	// Save remembers names, each in place of what was known for the same
	// Content. It does not keep the slice.
	Save(ctx context.Context, names []Name) error
}

// MostNames is how many names the hub remembers.
const MostNames = 4096

// saveTimeout bounds the last save, while the hub closes.
const saveTimeout = 2 * time.Second

// remember loads what is known, and saves what is learnt until ctx ends.
func (h *Hub) remember(ctx context.Context) {
	names, err := h.cfg.Knowledge.Load(ctx)
	if err != nil {
		h.log.Warn("the names learnt before are not known; engines will be asked", "err", err)
	}
	h.mu.Lock()
	h.known.load(names)
	h.mu.Unlock()
	for {
		select {
		case <-h.known.learnt:
			h.save(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// saveLast saves what the last streams learnt, after ctx has ended.
func (h *Hub) saveLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	h.save(ctx)
}

// save saves what was learnt since the last time.
func (h *Hub) save(ctx context.Context) {
	h.mu.Lock()
	names := h.known.unsaved()
	h.mu.Unlock()
	if len(names) == 0 {
		return
	}
	if err := h.cfg.Knowledge.Save(ctx, names); err != nil {
		h.mu.Lock()
		h.known.again(names)
		h.mu.Unlock()
		h.log.Warn("names learnt are not saved", "names", len(names), "err", err)
	}
}
