package native

import (
	"context"
	"errors"
	"io"
	"time"
)

// A Resolver finds the content that a request names. It is safe for concurrent
// use.
type Resolver interface {
	// Resolve returns the content once it is known what it is, or an error
	// that wraps ErrNotMine when another resolver may know it. Each Resolve
	// that succeeds is paired with one Playable.Close.
	Resolve(ctx context.Context, req Request) (Playable, error)
}

// ErrNotMine says that a resolver knows nothing of a content.
var ErrNotMine = errors.New("not known here")

// Playable is a content that can be played. It is safe for concurrent use.
type Playable interface {
	// Info is fixed for the playable's life.
	Info() Info
	// Open returns a reader of one file, by its index in Info().Files, that
	// lives until ctx ends or it is closed. Several may be open at once. The
	// reader of a content that is not live is an io.ReadSeekCloser, whose Seek
	// does not block; a live one is read from its newest random access point.
	Open(ctx context.Context, file int) (io.ReadCloser, error)
	// Stats tells what is going on now.
	Stats() Stats
	// Close gives the content back. It is called once, after all readers are
	// closed.
	Close() error
}

// Info describes a content.
type Info struct {
	Infohash string // 40 lower-case hex digits
	Name     string
	Live     bool
	Files    []File // of a live content one, of size 0
}

// File is one file of a content.
type File struct {
	Index int
	Path  string // slash-separated, below the content's name
	Size  int64  // bytes
}

// Size is the sum of the files, in bytes.
func (i Info) Size() int64 {
	var sum int64
	for _, f := range i.Files {
		sum += f.Size
	}
	return sum
}

// Stats of a content, over all its sessions.
type Stats struct {
	Peers          int   // connected
	Downloaded     int64 // bytes of content received
	Uploaded       int64 // bytes of content sent
	DownloadRate   int64 // bytes per second
	UploadRate     int64 // bytes per second
	BytesCompleted int64 // verified bytes held now
	Live           *LivePosition
}

// LivePosition tells where a live content stands.
type LivePosition struct {
	First, Last time.Time // the window that can be played
	Position    time.Time // what is being played
	Buffer      int       // pieces ahead of the position
}
