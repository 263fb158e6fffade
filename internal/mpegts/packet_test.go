package mpegts

import (
	"bytes"
	"context"
	"testing"

	"github.com/asticode/go-astits"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// view is what the accessors of a packet say.
type view struct {
	PID                                              uint16
	CC                                               uint8
	Errored, Start, Scrambled, Discontinuity, Access bool
	HasPayload, HasAdaptation, HasPCR                bool
	PCR                                              int64
	Payload                                          []byte
}

func viewOf(p Packet) view {
	pcr, ok := p.PCR()
	return view{
		PID: p.PID(), CC: p.CC(),
		Errored: p.Errored(), Start: p.UnitStart(), Scrambled: p.Scrambled(), Discontinuity: p.Discontinuity(), Access: p.RandomAccess(),
		HasPayload: p.HasPayload(), HasAdaptation: p.HasAdaptation(), HasPCR: ok,
		PCR: pcr, Payload: p.Payload(),
	}
}

// TestPacketOracle compares what the accessors say of packets with what an independent parser says.
func TestPacketOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMux()
		pid := rapid.Uint16Range(0, NullPID).Draw(t, "pid")
		m.cc[pid] = rapid.Uint8().Draw(t, "cc")
		var a *adaptation
		if rapid.Bool().Draw(t, "adaptation") {
			a = &adaptation{
				discontinuity: rapid.Bool().Draw(t, "discontinuity"),
				randomAccess:  rapid.Bool().Draw(t, "random access"),
				pcr:           rapid.Int64Range(-1, PCRModulus-1).Draw(t, "pcr"),
			}
		}
		m.packet(pid, rapid.Bool().Draw(t, "start"), a, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload"))
		p := Packet(m.out)
		p[1] |= rapid.SampledFrom([]byte{0, 0x80}).Draw(t, "errored")
		p[3] |= rapid.SampledFrom([]byte{0, 0x80, 0xc0}).Draw(t, "scrambled")

		// The demuxer wants to see two packets, to find out about their size.
		dmx := astits.NewDemuxer(context.Background(), bytes.NewReader(append(bytes.Clone(p), NullPacket()...)))
		o, err := dmx.NextPacket()
		if err != nil {
			t.Fatal(err)
		}
		want := view{
			PID: o.Header.PID, CC: o.Header.ContinuityCounter,
			Errored: o.Header.TransportErrorIndicator, Start: o.Header.PayloadUnitStartIndicator,
			Scrambled:  o.Header.TransportScramblingControl != 0,
			HasPayload: o.Header.HasPayload, HasAdaptation: o.Header.HasAdaptationField,
		}
		if o.Header.HasPayload {
			want.Payload = o.Payload
		}
		if f := o.AdaptationField; f != nil {
			want.Discontinuity, want.Access, want.HasPCR = f.DiscontinuityIndicator, f.RandomAccessIndicator, f.HasPCR
			if f.HasPCR {
				want.PCR = f.PCR.Base*300 + f.PCR.Extension
			}
		}
		if diff := cmp.Diff(want, viewOf(p)); diff != "" {
			t.Fatalf("packet % x (-oracle +got):\n%s", []byte(p), diff)
		}
	})
}

// TestPacketHostile reads packets whose lengths point outside of them.
func TestPacketHostile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Packet(rapid.SliceOfN(rapid.Byte(), PacketSize, PacketSize).Draw(t, "packet"))
		v := viewOf(p)
		if len(v.Payload) > PacketSize-4 || v.PCR < 0 || v.PCR >= PCRModulus {
			t.Fatalf("packet % x: %+v", []byte(p), v)
		}
	})
}

func TestSetCC(t *testing.T) {
	t.Parallel()
	m := newMux()
	m.packet(7, true, &adaptation{randomAccess: true, pcr: 1}, fill(300))
	p := Packet(m.out)
	p.SetCC(0x1d)
	if p.CC() != 0x0d || !p.HasPayload() || p.Scrambled() {
		t.Errorf("after SetCC: %+v", viewOf(p))
	}
}

func TestNullPacket(t *testing.T) {
	t.Parallel()
	null := viewOf(NullPacket())
	if null.PID != NullPID || !null.HasPayload || null.HasAdaptation || len(null.Payload) != PacketSize-4 {
		t.Errorf("null packet: %+v", null)
	}
}
