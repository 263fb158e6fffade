package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// sshDialer returns a dialer that reaches a daemon through the ssh of the
// system, as the docker command does: "docker system dial-stdio" on the other
// side joins its standard streams to the daemon's socket. Keys, known hosts and
// jump hosts are those of ssh's own configuration; nothing is asked.
func sshDialer(u *url.URL) func(ctx context.Context, network, addr string) (net.Conn, error) {
	args := []string{"-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-T"}
	if name := u.User.Username(); name != "" {
		args = append(args, "-l", name)
	}
	if port := u.Port(); port != "" {
		args = append(args, "-p", port)
	}
	args = append(args, "--", u.Hostname(), "docker", "system", "dial-stdio")
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return dialCommand(ctx, "ssh", args) }
}

// dialCommand returns the standard streams of a program as a connection. The
// program ends with the connection.
func dialCommand(ctx context.Context, program string, args []string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Not tied to ctx, which ends with the dialling.
	cmd := exec.Command(program, args...) //nolint:noctx // see above
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	c := &commandConn{cmd: cmd, in: in, out: out}
	cmd.Stderr = &c.complaint
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run %s: %w", program, err)
	}
	return c, nil
}

// commandConn is a connection made of a program's standard streams. It has no
// deadlines: requests are bounded by their contexts, which close it.
type commandConn struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	out       io.ReadCloser
	complaint complaint
	closing   sync.Once
}

func (c *commandConn) Read(b []byte) (int, error) {
	n, err := c.out.Read(b)
	if err != nil {
		if said := c.complaint.String(); said != "" {
			return n, fmt.Errorf("ssh: %s", said)
		}
	}
	return n, err
}

func (c *commandConn) Write(b []byte) (int, error) { return c.in.Write(b) }

// Close ends the program and waits for it.
func (c *commandConn) Close() error {
	c.closing.Do(func() {
		_ = c.in.Close()
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait() // killed, so its error says nothing
	})
	return nil
}

type commandAddr struct{}

func (commandAddr) Network() string { return "ssh" }
func (commandAddr) String() string  { return "ssh" }

func (c *commandConn) LocalAddr() net.Addr              { return commandAddr{} }
func (c *commandConn) RemoteAddr() net.Addr             { return commandAddr{} }
func (c *commandConn) SetDeadline(time.Time) error      { return nil }
func (c *commandConn) SetReadDeadline(time.Time) error  { return nil }
func (c *commandConn) SetWriteDeadline(time.Time) error { return nil }

// complaint keeps the first of what a program says on standard error.
type complaint struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

const maxComplaint = 1 << 10

func (c *complaint) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := maxComplaint - c.buf.Len(); room > 0 {
		c.buf.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func (c *complaint) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.TrimSpace(c.buf.String())
}
