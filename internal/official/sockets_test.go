package official

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Lines as Linux writes them: a listener, a player, a request whose client is
// gone, over IPv4 and IPv6.
const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1ADE 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 35064 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1ADE 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 35065 1 0000000000000000 20 4 30 10 -1
   2: 0000000000000000FFFF00000100007F:1ADE 0000000000000000FFFF00000100007F:D432 08 00000000:00000000 00:00000000 00000000  1000        0 35066 1
`

func TestParseSockets(t *testing.T) {
	t.Parallel()
	want := []socket{
		{6878, "00000000:0000", 0x0a},
		{6878, "0100007F:D431", tcpEstablished},
		{6878, "0000000000000000FFFF00000100007F:D432", tcpCloseWait},
	}
	if diff := cmp.Diff(want, parseSockets(strings.NewReader(table)), cmp.AllowUnexported(socket{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseSockets(f *testing.F) {
	f.Add(table)
	f.Add("0: :1 x 01\n0: 0:FFFFF x 01\n0: 0:1 x 1FF\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseSockets(strings.NewReader(text)) {
			if s.port < 0 || s.port > 65535 || s.state < 0 || s.state > 255 {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestClients(t *testing.T) {
	t.Parallel()
	c := &clients{ports: []int{6878, 6879}}
	at := func(d time.Duration, sockets ...socket) (bool, int) { return c.see(epoch.Add(d), sockets) }
	if playing, abandoned := at(0, socket{6878, "a", 0x0a}, socket{1, "a", tcpEstablished}, socket{1, "b", tcpCloseWait}); playing || abandoned != 0 {
		t.Errorf("others count: %v %d", playing, abandoned)
	}
	if playing, _ := at(0, socket{6879, "a", tcpEstablished}); !playing {
		t.Error("a player does not count")
	}
	hung := []socket{{6878, "a", tcpCloseWait}, {6878, "b", tcpCloseWait}}
	if _, abandoned := at(0, hung...); abandoned != 0 {
		t.Errorf("%d hang at once", abandoned)
	}
	if _, abandoned := at(abandonedTime-1, hung...); abandoned != 0 {
		t.Errorf("%d hang too early", abandoned)
	}
	if _, abandoned := at(abandonedTime, append(hung, socket{6878, "c", tcpCloseWait})...); abandoned != 2 {
		t.Errorf("%d hang; want 2", abandoned)
	}
	if _, abandoned := at(abandonedTime, hung[1]); abandoned != 1 {
		t.Errorf("%d hang; want 1", abandoned)
	}
	if _, abandoned := at(2*abandonedTime, hung...); abandoned != 1 {
		t.Error("a connection that was closed meanwhile is taken for the one before")
	}
}

// The kernel of this machine writes its table as it is read here.
func TestSocketsOfThisMachine(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := int(netip.MustParseAddrPort(l.Addr().String()).Port())
	state := func(want int) func() bool {
		return func() bool {
			sockets, known := readSockets()
			if !known {
				t.Skip("this system has no /proc/net/tcp")
			}
			return slices.ContainsFunc(sockets, func(s socket) bool { return s.port == port && s.state == want })
		}
	}
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if !state(tcpEstablished)() {
		t.Error("no connection is seen")
	}
	client.Close()
	one := make([]byte, 1)
	_, _ = server.Read(one) // returns when the end has arrived
	if !state(tcpCloseWait)() {
		t.Error("a client that left is not seen")
	}
}
