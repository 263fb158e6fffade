package upstream

import (
	"bytes"

	"github.com/acequia-tv/acequia/internal/mpegts"
)

// Joint is a [Seam] to a source of whose last packets some may be wrong: what a
// repetition began with before it was noticed. It joins where the packets are
// right, and leaves out what viewers have already. It is for one goroutine.
type Joint struct {
	*Seam
	unsure []byte
}

// NewJoint returns the joint to a source whose last packets are tail, at most
// [TailSize] bytes, the last unsure bytes of which may be wrong (see
// [Guard.Unsure]).
func NewJoint(tail []byte, unsure int) *Joint {
	right := len(tail) - min(unsure, len(tail))
	return &Joint{Seam: NewSeam(tail[:right]), unsure: bytes.Clone(tail[right:])}
}

// Feed is as [Seam.Feed].
func (j *Joint) Feed(packets []byte) []byte {
	out := j.Seam.Feed(packets)
	if len(j.unsure) == 0 || !j.Joined() {
		return out
	}
	n := 0
	for n < min(len(out), len(j.unsure)) && bytes.Equal(out[n:n+mpegts.PacketSize], j.unsure[n:n+mpegts.PacketSize]) {
		n += mpegts.PacketSize
	}
	if j.unsure = j.unsure[n:]; n < len(out) || !j.Seamless() {
		j.unsure = nil
	}
	return out[n:]
}

// Done tells whether Feed does nothing any more but pass packets on.
func (j *Joint) Done() bool { return j.Joined() && len(j.unsure) == 0 }
