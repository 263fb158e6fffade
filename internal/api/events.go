package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/event"
	"github.com/acequia-tv/acequia/internal/store"
)

const tagEvents = "Events"

// eventQuery selects events.
type eventQuery struct {
	Before string    `query:"before" maxLength:"64" doc:"Id of an event: only older ones."`
	Type   string    `query:"type" maxLength:"64" doc:"Beginning of the types wanted, such as engine. or stream.failed."`
	Since  time.Time `query:"since" doc:"Only events from then on."`
	Until  time.Time `query:"until" doc:"Only events before then."`
	Limit  int       `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"How many at most."`
}

func (a *API) eventRoutes() {
	handle(a, operation{
		id: "list-events", method: http.MethodGet, path: "/events", scope: auth.Read, tag: tagEvents,
		summary: "List what happened", description: "The newest first, also from before the last restart.",
	}, a.listEvents)
}

// listEvents takes the newest events from memory, where they all are, and older
// ones from the database, which may be some behind and lack some.
func (a *API) listEvents(ctx context.Context, in *eventQuery) (*answer[client.EventPage], error) {
	before, err := parseEventID(in.Before)
	if err != nil {
		return nil, problem{
			status: http.StatusUnprocessableEntity, code: codeInvalid,
			fields: []client.Field{{Location: "query.before", Message: err.Error()}},
		}
	}
	q := store.EventQuery{Boot: before.boot, Seq: before.seq, Type: in.Type, Since: in.Since, Until: in.Until, Limit: in.Limit + 1}
	var found []store.Event
	if before.boot == "" || before.boot == a.Boot {
		found, q.Seq = a.recent(q)
		q.Boot = a.Boot
	}
	if len(found) <= in.Limit {
		q.Limit -= len(found)
		older, err := a.History.Events(ctx, q)
		if err != nil {
			// What happened lately is told though what was before cannot be.
			a.Log.Warn("older events are not read", "err", err)
		}
		found = append(found, older...)
	}
	page := client.EventPage{Events: make([]client.Event, 0, len(found))}
	for i, e := range found {
		if i == in.Limit {
			page.Next = page.Events[i-1].ID
			break
		}
		page.Events = append(page.Events, eventOf(e.Boot, e.Event))
	}
	return &answer[client.EventPage]{page}, nil
}

// recent returns the events in memory that q selects, the newest first, and the
// number before which the database is to be asked.
func (a *API) recent(q store.EventQuery) (found []store.Event, oldest uint64) {
	all, missed := a.Events.Since(0)
	for i := len(all) - 1; i >= 0 && len(found) < q.Limit; i-- {
		e := all[i]
		if (q.Boot == "" || e.Seq < q.Seq) && strings.HasPrefix(e.Type, q.Type) &&
			!e.Time.Before(q.Since) && (q.Until.IsZero() || e.Time.Before(q.Until)) {
			found = append(found, store.Event{Boot: a.Boot, Event: e})
		}
	}
	return found, missed + 1
}

// eventID names an event across restarts.
type eventID struct {
	boot string
	seq  uint64
}

func (id eventID) String() string { return id.boot + "-" + strconv.FormatUint(id.seq, 10) }

func parseEventID(text string) (eventID, error) {
	if text == "" {
		return eventID{}, nil
	}
	boot, number, ok := strings.Cut(text, "-")
	seq, err := strconv.ParseUint(number, 10, 63)
	if !ok || boot == "" || err != nil {
		return eventID{}, fmt.Errorf("%q is not the id of an event", text)
	}
	return eventID{boot, seq}, nil
}

func eventOf(boot string, e event.Event) client.Event {
	attrs := e.Attrs
	if attrs == nil {
		attrs = map[string]string{}
	}
	return client.Event{ID: eventID{boot, e.Seq}.String(), Time: e.Time, Type: e.Type, Message: e.Message, Attrs: attrs}
}
