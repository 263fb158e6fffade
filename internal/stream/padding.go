package stream

import (
	"bytes"
	"context"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
)

// paddingPause is how long a viewer is given nothing before it gets null
// packets, and from then on the time between them. Players give a connection up
// that is silent for as long as their read timeout: ExoPlayer, and with it most
// players on Android, for 8 s by default; Kodi for 20 s; mpv for 60 s; VLC and ffmpeg never,
// but who sets a timeout for them sets some seconds. A live source that sends
// nothing for 2 s is more than fitful.
const paddingPause = 2 * time.Second

// padding is what a viewer gets: as many packets as are sent in one datagram
// elsewhere. A receiver throws them away (ISO/IEC 13818-1, 2.4.3.3), and some
// read so many at least.
var padding = bytes.Repeat(mpegts.NullPacket(), 7)

// await waits until more is closed, and keeps the viewer's connection alive
// meanwhile. A viewer that was sent nothing yet is sent no padding either: while
// its answer has not begun, it can still be an error.
func (o *outlet) await(ctx context.Context, more <-chan struct{}) error {
	if o.quiet == nil {
		o.quiet = time.NewTimer(paddingPause)
	}
	for {
		o.quiet.Reset(paddingPause)
		select {
		case <-more:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-o.quiet.C:
			if err := o.pad(); err != nil {
				return err
			}
		}
	}
}

// pad sends padding, which is no part of the stream and counts for nothing.
func (o *outlet) pad() error {
	if o.viewer.sent.sum() == 0 {
		return nil
	}
	if err := o.write(padding); err != nil {
		return err
	}
	o.size = 0
	return o.flush()
}

// close ends the timer of await.
func (o *outlet) close() {
	if o.quiet != nil {
		o.quiet.Stop()
	}
}
