package client

import "time"

// Me is who makes the request.
type Me struct {
	Name  string `json:"name" doc:"Name of the user, key, setting or network."`
	Scope string `json:"scope" enum:"play,read,operate,admin" doc:"What it may do; each includes those before it."`
	Via   string `json:"via" enum:"key,session,setting,network" doc:"How it is known."`
}

// Login is a name and its password.
type Login struct {
	User     string `json:"user,omitempty" default:"admin" maxLength:"100" doc:"Name of the user."`
	Password string `json:"password" minLength:"1" maxLength:"1024" doc:"The user's password."`
}

// PasswordChange is an old and a new password.
type PasswordChange struct {
	Old string `json:"old" minLength:"1" maxLength:"1024" doc:"The password until now."`
	New string `json:"new" minLength:"8" maxLength:"1024" doc:"The password from now on."`
}

// Key is a credential of a program, without its secret.
type Key struct {
	ID      string     `json:"id" doc:"Name of the key in this API."`
	Name    string     `json:"name" doc:"What the person calls it."`
	Scope   string     `json:"scope" enum:"play,read,operate,admin" doc:"What it may do; each includes those before it."`
	Created time.Time  `json:"created"`
	Used    *time.Time `json:"used" doc:"When it was used last, to the minute; null when never."`
	Expires *time.Time `json:"expires" doc:"When it ends; null when never."`
}

// NewKey describes a key to be made.
type NewKey struct {
	Name    string     `json:"name" minLength:"1" maxLength:"100" doc:"What to call it."`
	Scope   string     `json:"scope" enum:"play,read,operate,admin" doc:"What it may do; each includes those before it."`
	Expires *time.Time `json:"expires,omitempty" doc:"When it ends; never without."`
}

// MadeKey is a key with its secret, which is told this once.
type MadeKey struct {
	Key
	Secret string `json:"secret" doc:"The key itself. It is kept nowhere: note it now."`
}

// Session is a login.
type Session struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Agent   string    `json:"agent" doc:"The program that logged in, as it calls itself."`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used" doc:"When it was used last, to the minute."`
	Expires time.Time `json:"expires"`
	Current bool      `json:"current" doc:"This request is of that session."`
}

// Engine is one engine of the pool.
type Engine struct {
	ID        string     `json:"id"`
	URL       string     `json:"url" doc:"Base of its HTTP API; empty while it is not known."`
	Kind      string     `json:"kind" doc:"native, official, or empty until it was asked."`
	Version   string     `json:"version"`
	State     string     `json:"state" doc:"starting, ready, degraded, unhealthy, failed, draining or stopping."`
	Since     time.Time  `json:"since" doc:"When the state began."`
	Reason    string     `json:"reason" doc:"Why it is in that state; empty where that goes without saying."`
	LastError string     `json:"last_error" doc:"The newest failure of a probe or playback, long past perhaps."`
	Started   *time.Time `json:"started" doc:"When it was started; null where somebody else starts it."`
	P2PPort   *int       `json:"p2p_port" doc:"Its port for peers; null where it is not known."`
	Slots     int        `json:"slots" doc:"How many streams it takes."`
	Used      int        `json:"used" doc:"How many of the slots are taken."`
	LastUsed  *time.Time `json:"last_used" doc:"When a stream came or went last; null when never."`
	Streams   []string   `json:"streams" doc:"Ids of the streams that it plays."`
}

// Stream is one content being relayed.
type Stream struct {
	ID       string    `json:"id"`
	Content  string    `json:"content" doc:"As the first viewer named it."`
	Infohash string    `json:"infohash" doc:"Empty until an engine told it."`
	State    string    `json:"state"`
	Engine   string    `json:"engine" doc:"Id of the engine that plays; empty while none does."`
	Started  time.Time `json:"started"`
	Switches int       `json:"switches" doc:"Changes of engine since the start."`
	Received int64     `json:"received" doc:"Bytes from engines."`
	Buffered int       `json:"buffered" doc:"Bytes in memory."`
	Viewers  []Viewer  `json:"viewers"`
}

// Viewer is one player's connection to a stream.
type Viewer struct {
	ID    uint64    `json:"id"`
	Addr  string    `json:"addr" doc:"Address of the player, host:port."`
	App   string    `json:"app" doc:"What it calls itself."`
	Since time.Time `json:"since"`
	Sent  int64     `json:"sent" doc:"Bytes."`
	Lag   int64     `json:"lag" doc:"Bytes between its place and the newest."`
	Skips int64     `json:"skips" doc:"Times it was too slow and skipped ahead."`
}

// Event is something that happened.
type Event struct {
	ID      string            `json:"id" doc:"Names the event, also across restarts."`
	Time    time.Time         `json:"time"`
	Type    string            `json:"type" doc:"What happened, as thing.happened."`
	Message string            `json:"message" doc:"The same in one plain English sentence."`
	Attrs   map[string]string `json:"attrs" doc:"The facts that the sentence is made of."`
}

// EventPage is a page of events, the newest first.
type EventPage struct {
	Events []Event `json:"events"`
	Next   string  `json:"next" doc:"Give it as before to get the next page; empty at the end."`
}

// Version says which build runs.
type Version struct {
	Version  string    `json:"version"`
	Revision string    `json:"revision" doc:"The commit; empty when unknown."`
	Go       string    `json:"go"`
	Started  time.Time `json:"started" doc:"When this process started."`
	Boot     string    `json:"boot" doc:"Names this run of the process."`
}

// Problem is why a request was not done (RFC 9457).
type Problem struct {
	Title  string  `json:"title" doc:"What is wrong, in the language of the request."`
	Status int     `json:"status" doc:"The HTTP status."`
	Code   string  `json:"code" doc:"What is wrong, for programs. It never changes with the language."`
	Detail string  `json:"detail,omitempty" doc:"More about it."`
	Fields []Field `json:"errors,omitempty" doc:"What is wrong with each part of the request."`
}

// Field is what is wrong with one part of a request.
type Field struct {
	Location string `json:"location" doc:"Where: a path such as body.scope, or the name of a setting."`
	Message  string `json:"message"`
}

// Setting is one setting with its value.
type Setting struct {
	Key     string   `json:"key" doc:"Its name, as in pool.min."`
	Section string   `json:"section" doc:"The part of the name before the last dot."`
	Type    string   `json:"type" enum:"bool,int,string,duration,size,list" doc:"How the value is written."`
	Value   *string  `json:"value" doc:"As a person writes it; null for a secret, which is never told."`
	Set     bool     `json:"set" doc:"It is not empty. Of a secret that is all there is to see."`
	Default string   `json:"default"`
	Doc     string   `json:"doc"`
	Enum    []string `json:"enum,omitempty" doc:"The words allowed."`
	Min     string   `json:"min,omitempty" doc:"The least value allowed."`
	Max     string   `json:"max,omitempty" doc:"The largest value allowed."`
	Format  string   `json:"format,omitempty" doc:"The form of the text, or of each item of a list."`
	Env     string   `json:"env" doc:"Its environment variable."`
	Secret  bool     `json:"secret"`
	Origin  string   `json:"origin" enum:"default,file,stored,environment,flag" doc:"Where the value comes from; stored is this API."`
	Where   string   `json:"where" doc:"The origin in words: the line of the file, the variable, the flag."`
	Locked  bool     `json:"locked" doc:"It cannot be changed here: the environment or the command line says otherwise, or it is a secret, or needed before the database is open."`
	Applies string   `json:"applies" enum:"now,restart" doc:"When a change counts."`
	Pending bool     `json:"pending" doc:"It was changed and counts from the next start."`
}

// SettingsChange changes settings.
type SettingsChange struct {
	Changes map[string]*string `json:"changes" minProperties:"1" doc:"Values by name, as a person writes them; null takes a change back."`
	DryRun  bool               `json:"dry_run,omitempty" doc:"Check, and change nothing."`
}

// SettingsChanged is what came of changing settings.
type SettingsChanged struct {
	Applied []string `json:"applied" doc:"Settings that count from now on."`
	Restart []string `json:"restart" doc:"Settings that count from the next start."`
}
