package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/acequia-tv/acequia/internal/content"
)

// Session is one playback opened on an engine. Who opened it stops it with
// [Client.Stop]; an engine drops one that nobody reads, but only after its
// inactivity time. Its fields do not change. Safe for concurrent use.
//
// An official engine has one session per infohash, whatever the player ids and
// the names it was opened by: opening a second one cuts the reader of the
// first, and stopping either stops both.
type Session struct {
	PID       string // the player id it was opened with
	Infohash  string // 40 lower-case hex digits, also when asked for by content id
	ID        string // the engine's playback_session_id
	Live      bool   // a broadcast; else a file of known length
	Encrypted bool   // the engine plays it as HLS only

	// MultiReader tells that the engine serves any number of readers on the
	// playback address, as the native engine does. Official engines answer a
	// second reader of a progressive address with a corrupt response.
	MultiReader bool

	base     string // of the engine it was opened on
	playback string // path with query, like the next two
	stat     string // empty if the engine has no statistics for it
	command  string // empty if the engine takes no commands for it

	mu      sync.Mutex
	readers int  // guarded by mu: bodies not yet closed
	played  bool // guarded by mu: the playback address was asked for once
}

// OpenOptions is how to open a session.
type OpenOptions struct {
	// PID is the player id; empty for a fresh one, which is right for all but
	// one case: to try an open again that brought no answer, the same id finds
	// the session that the engine may have made. An id that played before gets
	// the old session's last seconds on an official engine.
	PID string
}

// NewPID returns a fresh player id.
func NewPID() string {
	var raw [16]byte
	rand.Read(raw[:]) // never fails, see crypto/rand
	return hex.EncodeToString(raw[:])
}

// Open opens a session of the selected content. On success the caller owns the
// session and stops it.
//
// An open that is given up may still succeed on the engine. Who cares passes a
// PID, so as to open with it again and then stop; what nobody reads ends by the
// engine's inactivity time.
func (c *Client) Open(ctx context.Context, sel content.Selector, opts OpenOptions) (*Session, error) {
	const op = "open session"
	pid := opts.PID
	if pid == "" {
		pid = NewPID()
	}
	q := sel.Query()
	q.Set("format", "json")
	q.Set("pid", pid)
	a, err := c.control(ctx, op, OpenTimeout, "/ace/getstream?"+q.Encode())
	if err != nil {
		return nil, err
	}
	s, err := parseSession(a.body)
	if err != nil {
		return nil, &Error{Op: op, Engine: c.base, Class: Sick, Err: err}
	}
	s.PID, s.base = pid, c.base
	return s, nil
}

// parseSession reads the session object of an open's answer
// (https://docs.acestream.net/developers/start-playback/).
func parseSession(raw json.RawMessage) (*Session, error) {
	var r struct {
		PlaybackURL string `json:"playback_url"`
		StatURL     string `json:"stat_url"`
		CommandURL  string `json:"command_url"`
		Infohash    string `json:"infohash"`
		SessionID   text   `json:"playback_session_id"`
		IsLive      number `json:"is_live"`
		IsEncrypted number `json:"is_encrypted"`
		MultiReader number `json:"multi_reader"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	s := &Session{
		ID:          string(r.SessionID),
		Live:        r.IsLive == 1,
		Encrypted:   r.IsEncrypted == 1,
		MultiReader: r.MultiReader == 1,
	}
	var err error
	if s.Infohash, err = infohash(r.Infohash); err != nil {
		return nil, err
	}
	if s.playback, err = localTarget(r.PlaybackURL, pathProgressive, pathPlaylist, pathContent); err != nil {
		return nil, fmt.Errorf("playback_url: %w", err)
	}
	// Content by direct URL has neither of these.
	if r.StatURL != "" {
		if s.stat, err = localTarget(r.StatURL, pathStat); err != nil {
			return nil, fmt.Errorf("stat_url: %w", err)
		}
	}
	if r.CommandURL != "" {
		if s.command, err = localTarget(r.CommandURL, pathCommand); err != nil {
			return nil, fmt.Errorf("command_url: %w", err)
		}
	}
	return s, nil
}

// infohash checks an infohash from an answer and returns it in lower case.
func infohash(s string) (string, error) {
	s = strings.ToLower(s)
	if raw, err := hex.DecodeString(s); err != nil || len(raw) != 20 {
		return "", fmt.Errorf("infohash %q is not 40 hexadecimal digits", clean(s))
	}
	return s, nil
}

// Stop ends the session. One that is already gone is no error.
func (c *Client) Stop(ctx context.Context, s *Session) error {
	const op = "stop session"
	if err := c.owns(op, s); err != nil {
		return err
	}
	if s.command == "" {
		return nil
	}
	_, err := c.control(ctx, op, StopTimeout, withQuery(s.command, "method", "stop"))
	if ClassOf(err) == SessionLost {
		return nil
	}
	return err
}

// owns refuses a session of another engine, whose paths mean nothing here.
func (c *Client) owns(op string, s *Session) error {
	if s.base != c.base {
		return &Error{Op: op, Engine: c.base, Class: SessionLost, Err: fmt.Errorf("session belongs to %s", s.base)}
	}
	return nil
}

var (
	errReading = errors.New("session has a reader already, and the engine allows one")
	errPlayed  = errors.New("live session was played already: open another")
)

// claim takes the reader's place, of which there is one unless the engine says
// otherwise. The playback address of a live session is good for one reader in
// the session's life: what a second one gets is undefined.
func (s *Session) claim() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.MultiReader {
		if s.readers > 0 {
			return errReading
		}
		if s.Live && s.played {
			return errPlayed
		}
	}
	s.played = true
	s.readers++
	return nil
}

// release gives the reader's place back.
func (s *Session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers--
}

// SessionAt returns a session that another program opened on this engine, as
// far as its statistics are concerned: it can be asked for with [Client.Stat],
// and neither played nor stopped. Only the path of statURL counts, so that who
// names it cannot send this client elsewhere.
func (c *Client) SessionAt(statURL string) (*Session, error) {
	stat, err := localTarget(statURL, pathStat)
	if err != nil {
		return nil, fmt.Errorf("statistics of a session: %w", err)
	}
	return &Session{base: c.base, stat: stat, played: true}, nil
}
