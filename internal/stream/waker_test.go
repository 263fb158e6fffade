package stream

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/acequia-tv/acequia/internal/mpegts"
	"github.com/acequia-tv/acequia/internal/ring"
)

// arrival is when a viewer saw how many packets.
type arrival struct {
	at      time.Duration
	packets int
}

// Each line of sends is a chunk, and when it comes.
func TestWakerIsInTimeButSeldom(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, tt := range map[string]struct {
		sends, want []arrival
		urgent      int // number of the chunk that is, from 1 on
	}{
		"after a pause at once":      {sends: []arrival{{0, 10}, {100 * ms, 10}, {350 * ms, 5}}, want: []arrival{{0, 10}, {100 * ms, 10}, {350 * ms, 5}}},
		"together otherwise":         {sends: []arrival{{0, 10}, {30 * ms, 10}, {60 * ms, 10}, {120 * ms, 7}}, want: []arrival{{0, 10}, {100 * ms, 20}, {200 * ms, 7}}},
		"a write's worth at once":    {sends: []arrival{{0, 10}, {10 * ms, 300}, {20 * ms, 100}, {30 * ms, 400}}, want: []arrival{{0, 10}, {20 * ms, 400}, {30 * ms, 400}}},
		"what is waited for at once": {sends: []arrival{{0, 10}, {10 * ms, 10}, {20 * ms, 10}, {30 * ms, 1}}, urgent: 3, want: []arrival{{0, 10}, {20 * ms, 20}, {120 * ms, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := ring.New(8 << 20)
				w := newWaker(r, newHerd(r))
				began := time.Now()
				var got []arrival
				done := make(chan struct{})
				go func() {
					defer close(done)
					for pos := int64(0); ; {
						<-r.Wait(pos)
						_, n, err := r.Read(nil, pos, 8<<20)
						if err != nil {
							return
						}
						pos += int64(n)
						got = append(got, arrival{time.Since(began), n / mpegts.PacketSize})
					}
				}()
				for i, s := range tt.sends {
					time.Sleep(s.at - time.Since(began))
					r.Add(make([]byte, s.packets*mpegts.PacketSize), 0, nil)
					w.added(s.packets*mpegts.PacketSize, i+1 == tt.urgent)
					synctest.Wait()
				}
				time.Sleep(time.Second)
				w.stop()
				r.Close(nil)
				<-done
				if !slices.Equal(got, tt.want) {
					t.Errorf("saw %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestStoppedWakerStartsNoTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := ring.New(8 << 20)
		w := newWaker(r, newHerd(r))
		w.added(1, false) // at once
		r.Add([]byte{1}, 0, nil)
		w.added(1, false)
		w.stop()
		w.added(1, false)
		over := r.Wait(0)
		time.Sleep(time.Second)
		select {
		case <-over:
			t.Error("a stopped waker wakes")
		default:
		}
	})
}
