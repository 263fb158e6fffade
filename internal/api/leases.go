package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/acequia-tv/acequia/client"
	"github.com/acequia-tv/acequia/internal/auth"
	"github.com/acequia-tv/acequia/internal/lease"
	"github.com/acequia-tv/acequia/internal/reconcile"
)

const tagLeases = "Leases"

// longestWait bounds the wait for a slot that a request may ask for, with a
// moment for its answer.
const longestWait = time.Minute + 10*time.Second

// Leases is what the API does with slots that are lent; [lease.Table] does it.
type Leases interface {
	Lend(ctx context.Context, borrower string, r reconcile.Request) (lease.Lease, error)
	Renew(ctx context.Context, id string, c lease.Claim) (lease.Lease, error)
	Report(id string, o reconcile.Outcome) error
	End(id string) error
	List() []lease.Lease
}

// leaseRenewal renews a lease. The id is as narrow as those that are given out,
// since a lease that is not known is made anew under it.
type leaseRenewal struct {
	ID   string `path:"id" pattern:"^[A-Z2-7]{26}$" doc:"Its id."`
	Body client.LeaseClaim
}

// leaseReport tells of a lease.
type leaseReport struct {
	Identified
	Body client.LeaseReport
}

func (a *API) leaseRoutes() {
	handle(a, operation{
		id: "list-leases", method: http.MethodGet, path: "/leases", scope: auth.Read, tag: tagLeases,
		summary: "List the slots that are lent",
	}, func(context.Context, *none) (*answer[[]client.Lease], error) {
		list := []client.Lease{}
		for _, l := range a.Leases.List() {
			list = append(list, leaseOf(l))
		}
		return &answer[[]client.Lease]{list}, nil
	})
	handle(a, operation{
		id: "lease", method: http.MethodPost, path: "/leases", scope: auth.Operate, tag: tagLeases, status: http.StatusCreated, slow: longestWait,
		summary: "Borrow a slot",
		description: "For a program that plays on the engine itself. The slot is its own until the lease ends or expires: renew it at a third of " +
			"expires_in. Where there is no slot the answer is 503, with a code that says why and Retry-After where it is worth asking again.",
	}, a.lend)
	handle(a, operation{
		id: "renew-lease", method: http.MethodPut, path: "/leases/{id}", scope: auth.Operate, tag: tagLeases,
		summary: "Keep a slot", description: "The answer tells in leaving when the engine is going. A lease that is not known, " +
			"since it has expired or the server is another process, is made anew if the engine has a slot.",
	}, func(ctx context.Context, in *leaseRenewal) (*answer[client.Lease], error) {
		return a.lent(a.Leases.Renew(ctx, in.ID, lease.Claim{
			Borrower: principal(ctx).Name, Content: in.Body.Content, EngineID: in.Body.Engine, Playing: in.Body.Playing,
		}))
	})
	handle(a, operation{
		id: "report-lease", method: http.MethodPost, path: "/leases/{id}/reports", scope: auth.Operate, tag: tagLeases,
		summary: "Tell how the engine of a lease does", description: "By that engines are judged. The first report ends the lease's part in pool.opens_per_engine.",
	}, func(_ context.Context, in *leaseReport) (*none, error) {
		return nil, a.leased(a.Leases.Report(in.ID, reconcile.Outcome{Kind: reconcile.OutcomeKind(in.Body.Outcome), Class: in.Body.Class}))
	})
	handle(a, operation{
		id: "end-lease", method: http.MethodDelete, path: "/leases/{id}", scope: auth.Operate, tag: tagLeases,
		summary: "Give a slot back",
	}, func(_ context.Context, in *Identified) (*none, error) { return nil, a.leased(a.Leases.End(in.ID)) })
}

func (a *API) lend(ctx context.Context, in *input[client.NewLease]) (*answer[client.Lease], error) {
	return a.lent(a.Leases.Lend(ctx, principal(ctx).Name, reconcile.Request{
		Content: in.Body.Content, Official: in.Body.Official, Exclude: in.Body.Exclude, Only: in.Body.Only,
		// Without a wait there is one look, which ends at once.
		Wait: max(1, time.Duration(in.Body.Wait)*time.Millisecond),
	}))
}

func (a *API) lent(l lease.Lease, err error) (*answer[client.Lease], error) {
	if err != nil {
		return nil, a.leased(err)
	}
	return &answer[client.Lease]{leaseOf(l)}, nil
}

// leased turns the error of a lease into what a handler returns.
func (a *API) leased(err error) error {
	if why, ok := errors.AsType[*reconcile.Unavailable](err); ok {
		return problem{
			status: http.StatusServiceUnavailable, code: slotCode(why.Reason),
			detail: why.Message, retryAfter: why.RetryAfter,
		}
	}
	if errors.Is(err, lease.ErrUnknown) {
		return notFound(err.Error())
	}
	return a.done(err)
}

// slotCode is the code of a problem by the reason why there is no slot.
func slotCode(r reconcile.Reason) string { return "slot_" + string(r) }

func leaseOf(l lease.Lease) client.Lease {
	return client.Lease{
		ID: l.ID, Content: l.Content, Borrower: l.Borrower, Since: l.Since, Leaving: l.Leaving,
		Engine:  client.LeaseEngine{ID: l.EngineID, URL: l.URL, Kind: string(l.Kind)},
		Expires: max(0, time.Until(l.Expires).Seconds()),
	}
}
