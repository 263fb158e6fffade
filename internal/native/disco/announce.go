package disco

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Announce is one message of BEP 14. It looks like an HTTP request:
//
//	BT-SEARCH * HTTP/1.1\r\n
//	Host: 239.192.152.143:6771\r\n
//	Port: 6881\r\n
//	Infohash: <40 hex digits>\r\n
//	cookie: <opaque>\r\n
//	\r\n
//	\r\n
//
// Infohash may be there several times. The cookie lets a sender know its own.
type Announce struct {
	Host       string
	Port       int // 1 to 65535
	Infohashes [][20]byte
	Cookie     string
}

const searchLine = "BT-SEARCH * HTTP/1.1"

// maxInfohashes bounds what one datagram can make a listener do.
const maxInfohashes = 32

// Encode writes the message. Host and Cookie must be plain ASCII without line
// breaks.
func (a Announce) Encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\r\nHost: %s\r\nPort: %d\r\n", searchLine, a.Host, a.Port)
	for _, h := range a.Infohashes {
		fmt.Fprintf(&b, "Infohash: %x\r\n", h)
	}
	if a.Cookie != "" {
		fmt.Fprintf(&b, "cookie: %s\r\n", a.Cookie)
	}
	b.WriteString("\r\n\r\n")
	return []byte(b.String())
}

// ParseAnnounce reads a message from the network. Header names have no case,
// and lines may end without a carriage return, as some senders do. Infohashes
// that cannot be read are left out; one must be there.
func ParseAnnounce(b []byte) (Announce, error) {
	var a Announce
	lines := strings.Split(string(b), "\n")
	if strings.TrimRight(lines[0], "\r") != searchLine {
		return a, errors.New("not an announce of local discovery")
	}
	for _, line := range lines[1:] {
		line = strings.TrimRight(line, "\r")
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return Announce{}, fmt.Errorf("header line %q", line)
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "host":
			a.Host = value
		case "port":
			p, err := strconv.ParseUint(value, 10, 16)
			if err != nil || p == 0 {
				return Announce{}, fmt.Errorf("port %q", value)
			}
			a.Port = int(p)
		case "infohash":
			h, err := hex.DecodeString(value)
			if err == nil && len(h) == 20 && len(a.Infohashes) < maxInfohashes {
				a.Infohashes = append(a.Infohashes, [20]byte(h))
			}
		case "cookie":
			a.Cookie = value
		}
	}
	if a.Port == 0 {
		return Announce{}, errors.New("no port")
	}
	if len(a.Infohashes) == 0 {
		return Announce{}, errors.New("no infohash")
	}
	return a, nil
}
