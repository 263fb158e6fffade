package disco

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func hash(b byte) (h [20]byte) {
	for i := range h {
		h[i] = b
	}
	return h
}

func TestEncode(t *testing.T) {
	t.Parallel()
	got := string(Announce{Host: "239.192.152.143:6771", Port: 6881, Infohashes: [][20]byte{hash(0xab)}, Cookie: "x"}.Encode())
	// The example of BEP 14, with its optional cookie.
	want := "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: " +
		strings.Repeat("ab", 20) + "\r\ncookie: x\r\n\r\n\r\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseAnnounce(t *testing.T) {
	t.Parallel()
	a := strings.Repeat("AB", 20)
	for _, tt := range []struct {
		name, in string
		want     Announce
		bad      bool
	}{
		{
			"as others write it", "BT-SEARCH * HTTP/1.1\nhost:239.192.152.143:6771\nPORT:  1\nInfoHash: " + a + "\n\n",
			Announce{Host: "239.192.152.143:6771", Port: 1, Infohashes: [][20]byte{hash(0xab)}},
			false,
		},
		{
			"several", "BT-SEARCH * HTTP/1.1\r\nPort: 2\r\nInfohash: " + a + "\r\nInfohash: zz\r\nInfohash: " + strings.Repeat("01", 20) + "\r\nX-Other: y\r\n\r\n\r\n",
			Announce{Port: 2, Infohashes: [][20]byte{hash(0xab), hash(1)}},
			false,
		},
		{"empty", "", Announce{}, true},
		{"another method", "M-SEARCH * HTTP/1.1\r\nPort: 2\r\nInfohash: " + a + "\r\n\r\n", Announce{}, true},
		{"no port", "BT-SEARCH * HTTP/1.1\r\nInfohash: " + a + "\r\n\r\n", Announce{}, true},
		{"port 0", "BT-SEARCH * HTTP/1.1\r\nPort: 0\r\nInfohash: " + a + "\r\n\r\n", Announce{}, true},
		{"port too large", "BT-SEARCH * HTTP/1.1\r\nPort: 65536\r\nInfohash: " + a + "\r\n\r\n", Announce{}, true},
		{"no infohash", "BT-SEARCH * HTTP/1.1\r\nPort: 2\r\n\r\n", Announce{}, true},
		{"a header without a name", "BT-SEARCH * HTTP/1.1\r\nwhat\r\n\r\n", Announce{}, true},
	} {
		got, err := ParseAnnounce([]byte(tt.in))
		if (err != nil) != tt.bad {
			t.Errorf("%s: err = %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func FuzzParseAnnounce(f *testing.F) {
	f.Add(Announce{Host: "239.192.152.143:6771", Port: 6881, Infohashes: [][20]byte{hash(1), hash(2)}, Cookie: "x"}.Encode())
	f.Add([]byte("BT-SEARCH * HTTP/1.1\nPort: 1\nInfohash: 0101010101010101010101010101010101010101\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAnnounce(b)
		if err != nil {
			return
		}
		if a.Port < 1 || a.Port > 65535 || len(a.Infohashes) < 1 || len(a.Infohashes) > maxInfohashes {
			t.Fatalf("%+v", a)
		}
		again, err := ParseAnnounce(a.Encode())
		if err != nil {
			t.Fatalf("what was read and written cannot be read: %v", err)
		}
		if diff := cmp.Diff(a, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

// group is not the standard one: tests must not be heard by anybody.
var group = netip.MustParseAddrPort("239.192.152.143:16771")

func listen(t *testing.T, port int, heard func([20]byte, netip.AddrPort)) *LSD {
	l, err := ListenLSD(Config{Host: "127.0.0.1", Port: port, Heard: heard, Group: group})
	if err != nil {
		t.Skipf("no multicast on loopback here: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		stop := errors.New("the test is over")
		cancel(stop)
		if err := <-done; !errors.Is(err, stop) {
			t.Errorf("run: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("close again: %v", err)
		}
	})
	return l
}

// Peers of one host hear each other, and not themselves.
func TestHearEachOther(t *testing.T) {
	t.Parallel()
	type heard struct {
		hash [20]byte
		peer netip.AddrPort
	}
	at := func(c chan heard) func([20]byte, netip.AddrPort) {
		return func(h [20]byte, p netip.AddrPort) { c <- heard{h, p} }
	}
	a, b := make(chan heard, 10), make(chan heard, 10)
	la, lb := listen(t, 1001, at(a)), listen(t, 1002, at(b))
	for range 3 { // the second and third come too soon and are not sent
		if err := la.Announce(hash(1)); err != nil {
			t.Skipf("no multicast on loopback here: %v", err)
		}
	}
	if got, want := <-b, (heard{hash(1), netip.MustParseAddrPort("127.0.0.1:1001")}); got != want {
		t.Errorf("heard %v, want %v", got, want)
	}
	if err := lb.Announce(hash(2)); err != nil {
		t.Fatal(err)
	}
	// The first that a hears is of b: its own were left out.
	if got, want := <-a, (heard{hash(2), netip.MustParseAddrPort("127.0.0.1:1002")}); got != want {
		t.Errorf("heard %v, want %v", got, want)
	}
	if len(b) != 0 {
		t.Errorf("heard again within seconds: %v", <-b)
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no port":         {},
		"no such address": {Host: "192.0.2.1", Port: 1},
		"no address":      {Host: "x", Port: 1},
	} {
		if l, err := ListenLSD(cfg); err == nil {
			_ = l.Close()
			t.Errorf("%s: no error", name)
		}
	}
}
