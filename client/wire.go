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
	Memory    *int64     `json:"memory" doc:"Bytes in use, as last measured; null where that is not known."`
	Cache     *int64     `json:"cache" doc:"Bytes of its cache, as last measured; null where that is not known."`
	Measured  *time.Time `json:"measured" doc:"When memory and cache were measured."`
}

// EngineStats is what an engine uses of its machine now.
type EngineStats struct {
	Time        time.Time `json:"time" doc:"When it was measured."`
	CPUSeconds  float64   `json:"cpu_seconds" doc:"Processor time used since it was started."`
	CPUPercent  *float64  `json:"cpu_percent" doc:"Of one processor, since somebody asked last; null the first time."`
	Memory      *int64    `json:"memory" doc:"Bytes; null where it is not known."`
	MemoryLimit *int64    `json:"memory_limit" doc:"Bytes; null without a limit."`
	Cache       *int64    `json:"cache" doc:"Bytes on disk; null where it is not known."`
	Received    *int64    `json:"received" doc:"Bytes over its network since it was started; null where it is not known."`
}

// StartEngines asks for engines.
type StartEngines struct {
	Count int `json:"count,omitempty" minimum:"1" maximum:"100" default:"1" doc:"How many."`
}

// Started are engines that were started.
type Started struct {
	IDs []string `json:"ids" doc:"They may not be ready yet."`
}

// Pool is the pool as a whole.
type Pool struct {
	Engines      int      `json:"engines" doc:"Engines that there are."`
	Ready        int      `json:"ready" doc:"Engines that take playbacks."`
	Slots        int      `json:"slots" doc:"Slots of the engines that take playbacks."`
	Used         int      `json:"used" doc:"Slots taken."`
	Waiting      int      `json:"waiting" doc:"Requests that wait for a slot."`
	Target       int      `json:"target" doc:"How many engines there should be."`
	TargetReason string   `json:"target_reason" doc:"Why."`
	Paused       bool     `json:"paused" doc:"Nothing is started or stopped by itself."`
	Scale        *int     `json:"scale" doc:"The number of engines that somebody asked for; null where the demand says."`
	Min          int      `json:"min" doc:"The setting pool.min."`
	Max          int      `json:"max" doc:"The setting pool.max."`
	Quarantined  []string `json:"quarantined" doc:"Contents that are kept away from engines, because engines died under them."`
	Blind        string   `json:"blind" doc:"Why the engines cannot be listed now; empty when they can."`
	Unready      string   `json:"unready" doc:"Why no engine can be started now; empty when it can."`
}

// Scale asks for a number of engines.
type Scale struct {
	Engines *int `json:"engines" minimum:"0" maximum:"1000" doc:"How many; null lets the demand say."`
}

// Plan is what the pool is about to do.
type Plan struct {
	Known        bool     `json:"known" doc:"False while the engines there are have not been listed."`
	Target       int      `json:"target"`
	TargetReason string   `json:"target_reason"`
	Actions      []Action `json:"actions" doc:"What is done now."`
	Later        []Action `json:"later" doc:"What is done later."`
}

// Action is one step of a plan.
type Action struct {
	Op     string     `json:"op" doc:"start, stop, drain or clean."`
	Engine string     `json:"engine" doc:"Its id; empty where it is about more than one."`
	Cause  string     `json:"cause" doc:"Why, for programs; empty of what waits."`
	Reason string     `json:"reason" doc:"Why, or what it waits for."`
	Until  *time.Time `json:"until" doc:"When it is done at the latest; null where that is not known."`
}

// Move asks for another engine.
type Move struct {
	Engine string `json:"engine,omitempty" maxLength:"63" doc:"Id of the engine; any other without."`
}

// Check is one thing that is well or not.
type Check struct {
	ID      string            `json:"id"`
	Status  string            `json:"status" enum:"ok,warning,error"`
	Message string            `json:"message" doc:"How it is, in the language of the request."`
	Advice  string            `json:"advice" doc:"What to do; empty where nothing is to be done."`
	Attrs   map[string]string `json:"attrs" doc:"What is known about it."`
}

// Health is how everything is.
type Health struct {
	Status string  `json:"status" enum:"ok,warning,error" doc:"The worst of the checks."`
	Checks []Check `json:"checks"`
}

// Record sums up the plays of a content, or on an engine.
type Record struct {
	Name       string    `json:"name" doc:"The content or engine."`
	Starts     int       `json:"starts" doc:"Starts that went well."`
	Failures   int       `json:"failures" doc:"Starts that did not."`
	Losses     int       `json:"losses" doc:"Times that an engine failed under it."`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	LastResult string    `json:"last_result" doc:"ok, or the code of the error, of the newest start."`
	FirstByte  *int64    `json:"first_byte_ms" doc:"Mean time to the first byte of the starts that went well; null without any."`
	Slowest    *int64    `json:"slowest_first_byte_ms" doc:"The worst of these."`
}

// Preflight is whether a content can be played now.
type Preflight struct {
	Content  string  `json:"content"`
	Infohash string  `json:"infohash" doc:"Empty where it is not known."`
	Verdict  string  `json:"verdict" enum:"playing,playable,unlikely,impossible,unknown" doc:"playing: it is being relayed. playable: an engine delivers it, or did lately and could. unlikely: it failed lately. impossible: no engine there is can. unknown: nobody has tried."`
	Reason   string  `json:"reason" doc:"Why, for programs: a code."`
	Message  string  `json:"message" doc:"The same in words, in the language of the request."`
	Deep     bool    `json:"deep" doc:"An engine was asked."`
	Took     *int64  `json:"first_byte_ms" doc:"Of a deep one: time to the first byte; null where there was none."`
	History  *Record `json:"history" doc:"What came of playing it before; null where it never was."`
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
	Tries    []Try     `json:"tries" doc:"How it started, or is starting."`
	Changes  []Switch  `json:"changes" doc:"The last changes of engine, the oldest first."`
	Mark     *Mark     `json:"mark" doc:"What is known to be wrong with the content; null for nothing."`
	Watching int       `json:"watching" doc:"How many viewers it has."`
	Viewers  []Viewer  `json:"viewers,omitempty" doc:"Not in the live stream, where they are a collection of their own."`
}

// Try is one attempt to start a stream on an engine.
type Try struct {
	Engine string           `json:"engine" doc:"Empty while it waits for a slot."`
	After  int64            `json:"after_ms" doc:"When it began, after the first request."`
	Stage  string           `json:"stage" doc:"Where it is, or was in the end: engine, resolve, open, prebuffer or join."`
	Took   map[string]int64 `json:"took_ms" doc:"How long each stage behind it took."`
	Won    bool             `json:"won" doc:"It plays."`
	Error  string           `json:"error" doc:"Code of why it does not play; empty while it may."`
}

// Switch is a change of the engine under a stream.
type Switch struct {
	At       time.Time `json:"at"`
	From     string    `json:"from" doc:"Id of an engine."`
	To       string    `json:"to" doc:"Id of an engine."`
	Reason   string    `json:"reason" doc:"Why the first one was left."`
	Gap      int64     `json:"gap_ms" doc:"How long there was nothing new for viewers."`
	Seamless bool      `json:"seamless" doc:"It went on with the very packet that was due next."`
}

// Mark is something that is wrong with a content.
type Mark struct {
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Engines []string  `json:"engines" doc:"Ids of those that showed it."`
	Settled bool      `json:"settled" doc:"It is the content's own fault: engine after engine showed it."`
}

// Viewer is one player's connection to a stream.
type Viewer struct {
	ID     uint64    `json:"id"`
	Stream string    `json:"stream" doc:"Id of the stream."`
	Form   string    `json:"form" doc:"ts, hls or file."`
	Addr   string    `json:"addr" doc:"Address of the player, host:port."`
	App    string    `json:"app" doc:"What it calls itself."`
	Since  time.Time `json:"since"`
	Wait   *int64    `json:"wait_ms" doc:"From its request to its first byte; null before that."`
	Sent   int64     `json:"sent" doc:"Bytes."`
	Rate   int64     `json:"rate" doc:"Bytes per second, of the last seconds."`
	Lag    int64     `json:"lag" doc:"Bytes between its place and the newest."`
	Behind int64     `json:"behind_ms" doc:"How far it is behind live, if it shows all that it was sent."`
	Skips  int64     `json:"skips" doc:"Times it was too slow and skipped ahead."`
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
