package auth

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// mostAddresses bounds the memory of a [limiter].
const mostAddresses = 4096

// limiter bounds how often each address may do something. It is safe for
// concurrent use.
type limiter struct {
	every time.Duration
	burst int

	mu    sync.Mutex
	each  map[netip.Prefix]*rate.Limiter // guarded by mu
	order []netip.Prefix                 // guarded by mu; oldest first
}

func newLimiter(every time.Duration, burst int) *limiter {
	return &limiter{every: every, burst: burst, each: make(map[netip.Prefix]*rate.Limiter)}
}

// of returns the limit of an address, which for IPv6 is that of its /64: one
// household has as many addresses as it likes.
func (l *limiter) of(addr netip.Addr) *rate.Limiter {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	key, err := addr.Prefix(bits)
	if err != nil {
		key = netip.Prefix{} // all whose address is not known share one limit
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if one := l.each[key]; one != nil {
		return one
	}
	if len(l.order) == mostAddresses {
		delete(l.each, l.order[0])
		l.order = l.order[1:]
	}
	one := rate.NewLimiter(rate.Every(l.every), l.burst)
	l.each[key], l.order = one, append(l.order, key)
	return one
}

// take uses up one, or tells after how long there will be one.
func (l *limiter) take(addr netip.Addr) (wait time.Duration) {
	r := l.of(addr).Reserve()
	if wait = r.Delay(); wait > 0 {
		r.Cancel()
	}
	return wait
}

// wait tells after how long there will be one, and uses up none.
func (l *limiter) wait(addr netip.Addr) time.Duration {
	there := l.of(addr).Tokens()
	return time.Duration(max(0, 1-there) * float64(l.every))
}
