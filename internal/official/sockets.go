package official

import (
	"bufio"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// States of TCP sockets in /proc/net/tcp, from include/net/tcp_states.h of the
// Linux kernel.
const (
	tcpEstablished = 0x01
	tcpCloseWait   = 0x08
)

// socket is one line of /proc/net/tcp.
type socket struct {
	port   int    // ours
	remote string // the peer's address and port, as the kernel writes them
	state  int
}

// maxSockets bounds how many lines are read.
const maxSockets = 1 << 16

// parseSockets reads the table of /proc/net/tcp and /proc/net/tcp6
// (proc_net_tcp in the documentation of the Linux kernel). Lines of another
// form are left out.
func parseSockets(from io.Reader) []socket {
	var all []socket
	for scanner := bufio.NewScanner(from); scanner.Scan() && len(all) < maxSockets; {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 4 {
			continue
		}
		_, port, ok := strings.Cut(fields[1], ":")
		number, err := strconv.ParseUint(port, 16, 16)
		state, err2 := strconv.ParseUint(fields[3], 16, 8)
		if !ok || err != nil || err2 != nil {
			continue
		}
		all = append(all, socket{int(number), fields[2], int(state)})
	}
	return all
}

// abandonedTime is how long a request must have hung after its client gave up:
// twice what an open may take (engine.OpenTimeout).
const abandonedTime = 2 * time.Minute

// clients tells from the sockets of the engine's ports who is connected, and
// which requests hang. A connection whose client has closed it stays in
// CLOSE_WAIT until the engine closes its side: an engine that answers requests
// one thread each does that when the request is done. So one that stays for
// minutes is a request that hangs. Owned by one goroutine.
type clients struct {
	ports []int
	since map[string]time.Time // when a connection was first seen in CLOSE_WAIT
}

// see takes the sockets at a time.
func (c *clients) see(now time.Time, sockets []socket) (playing bool, abandoned int) {
	waiting := make(map[string]time.Time)
	for _, s := range sockets {
		if !slices.Contains(c.ports, s.port) {
			continue
		}
		switch s.state {
		case tcpEstablished:
			playing = true
		case tcpCloseWait:
			first, known := c.since[s.remote]
			if !known {
				first = now
			}
			waiting[s.remote] = first
			if now.Sub(first) >= abandonedTime {
				abandoned++
			}
		}
	}
	c.since = waiting
	return playing, abandoned
}

// readSockets returns the TCP sockets of this network namespace, and whether
// they are known.
func readSockets() ([]socket, bool) {
	var all []socket
	known := false
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(name)
		if err != nil {
			continue // no such protocol here
		}
		known = true
		all = append(all, parseSockets(file)...)
		file.Close()
	}
	return all, known
}
