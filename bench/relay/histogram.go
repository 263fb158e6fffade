package main

import (
	"math"
	"sync/atomic"
	"time"
)

// histogram counts durations. It is safe for concurrent use.
type histogram struct {
	counts [histogramSpan / histogramStep]atomic.Int64 // what is longer is in the last
}

const (
	histogramStep = 200 * time.Microsecond
	histogramSpan = 10 * time.Second
)

func (h *histogram) add(d time.Duration) {
	i := min(max(0, int(d/histogramStep)), len(h.counts)-1)
	h.counts[i].Add(1)
}

func (h *histogram) reset() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
}

// quantile returns the duration that the share q of all does not exceed, in
// milliseconds, 0 if there are none.
func (h *histogram) quantile(q float64) float64 {
	total := int64(0)
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	rank := int64(math.Ceil(q * float64(total)))
	if rank == 0 {
		return 0
	}
	sum := int64(0)
	for i := range h.counts {
		if sum += h.counts[i].Load(); sum >= rank {
			return milliseconds(time.Duration(i+1) * histogramStep)
		}
	}
	return milliseconds(histogramSpan)
}

// quantile returns the value that the share q of all does not exceed, 0 if there are none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
