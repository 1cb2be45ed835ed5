//! Statements of a batch at its claims: on the source claim where the place is the same, else on the target claim of the place.

use std::sync::Arc;

use dajet_core::query::Statement;
use dajet_core::{Address, Advances, Answer, Claim, OrderKeys, Record, Service, Span};
use dajet_lang::machine::SinkSpec;

use crate::batch::{Output, Ticket, TransformedBatch, Written, release};
use crate::error::PipelineError;
use crate::generation::Generation;

/// A bound statement at its place.
pub(crate) struct Call<'a> {
    pub(crate) service: &'a Arc<dyn Service>,
    pub(crate) bound: &'a Arc<Statement>,
    pub(crate) parameters: &'a [Record],
    pub(crate) span: Span,
}

/// Waits for the turn of the batch, once.
pub(crate) async fn take_turn(generation: &Generation, ticket: &mut Ticket) {
    if !ticket.has_turn() {
        let turn = generation.turn(ticket.batch()).await;
        ticket.take_turn(turn);
    }
}

/// True if the batch writes at a place where it has no claim yet.
pub(crate) fn needs_turn(
    generation: &Generation,
    batch: &mut TransformedBatch,
) -> Result<bool, PipelineError> {
    let mut targets = Vec::new();
    if let Some(advances) = batch.ticket().advances() {
        targets.push(Arc::clone(&advances.service));
    }
    for output in batch.outputs().iter() {
        if let SinkSpec::Rows { address, .. } = &*output.spec {
            targets.push(open(
                generation,
                address,
                span_of(generation, &output.spec),
            )?);
        }
    }
    Ok(targets
        .iter()
        .any(|service| !batch.ticket().holds(service.identity())))
}

/// Takes the outputs for places where the batch has a claim already.
pub(crate) fn take_joined(
    generation: &Generation,
    ticket: &Ticket,
    rows: &mut Vec<Output>,
) -> Result<Vec<Output>, PipelineError> {
    let (mut joined, mut others) = (Vec::new(), Vec::new());
    for output in rows.drain(..) {
        let (service, _) = place(generation, &output.spec)?;
        match ticket.holds(service.identity()) {
            true => joined.push(output),
            false => others.push(output),
        }
    }
    *rows = others;
    Ok(joined)
}

/// Writes rows in transactions that are given back, at one place after the other: what would refuse them, or the commits, tells so.
pub(crate) async fn try_out(
    generation: &Generation,
    rows: &[Output],
    keys: &OrderKeys,
) -> Result<(), PipelineError> {
    let mut places: Vec<(Arc<dyn Service>, Vec<&Output>)> = Vec::new();
    for output in rows {
        let (service, _) = place(generation, &output.spec)?;
        let known =
            |(known, _): &&mut (Arc<dyn Service>, _)| known.identity() == service.identity();
        match places.iter_mut().find(known) {
            Some((_, outputs)) => outputs.push(output),
            None => places.push((service, vec![output])),
        }
    }
    for (service, outputs) in places {
        let begun = service.begin().await;
        let mut claim = begun.map_err(|error| failed(&service, error, generation.span()))?;
        let tried = try_on(&mut *claim, generation, (&service, &outputs), keys).await;
        release(claim).await;
        tried?;
    }
    Ok(())
}

async fn try_on(
    claim: &mut dyn Claim,
    generation: &Generation,
    (service, outputs): (&Arc<dyn Service>, &[&Output]),
    keys: &OrderKeys,
) -> Result<(), PipelineError> {
    for output in outputs {
        let (_, bound) = place(generation, &output.spec)?;
        let answer = claim.execute(bound, &output.records).await;
        answer.map_err(|error| {
            let error = failed(service, error, span_of(generation, &output.spec));
            Output::name(error, &output.origins, keys)
        })?;
    }
    let rehearsed = claim.rehearse().await;
    rehearsed.map_err(|error| PipelineError::system(error, generation.span()))
}

/// The database of an output, and its statement.
fn place<'a>(
    generation: &Generation,
    spec: &'a SinkSpec,
) -> Result<(Arc<dyn Service>, &'a Arc<Statement>), PipelineError> {
    let SinkSpec::Rows { address, bound, .. } = spec else {
        return Err(PipelineError::fault("messages were given to a database"));
    };
    let service = open(generation, address, span_of(generation, spec))?;
    Ok((service, bound))
}

/// Writes the rows of an output on the claim of their place.
pub(crate) async fn write(
    generation: &Generation,
    ticket: &mut Ticket,
    output: Output,
) -> Result<(), PipelineError> {
    let span = span_of(generation, &output.spec);
    let (service, bound) = place(generation, &output.spec)?;
    let call = Call {
        service: &service,
        bound,
        parameters: &output.records,
        span,
    };
    let origins = output.origins;
    if let Err(error) = execute(generation, ticket, call).await {
        return Err(Output::name(error, &origins, ticket.keys()));
    }
    ticket.wrote(service.identity(), Written { span, origins });
    Ok(())
}

/// Runs a statement of the body: on a claim of the batch if there is one at its place. A read elsewhere runs outside
/// transactions; a write opens a target claim.
pub(crate) async fn execute(
    generation: &Generation,
    ticket: &mut Ticket,
    call: Call<'_>,
) -> Result<Answer, PipelineError> {
    let Call {
        service,
        bound,
        parameters,
        span,
    } = call;
    let place = service.identity();
    if !ticket.holds(place) {
        if !bound.writes() {
            let answer = service.execute(bound, parameters).await;
            return answer.map_err(|error| failed(service, error, span));
        }
        take_turn(generation, ticket).await;
        let claim = service
            .begin()
            .await
            .map_err(|error| failed(service, error, span))?;
        ticket.add_target(claim);
    }
    let Some(claim) = ticket.claim(place) else {
        return Err(PipelineError::fault(
            "a claim is not at the place of its service",
        ));
    };
    let answer = claim.execute(bound, parameters).await;
    answer.map_err(|error| failed(service, error, span))
}

/// Moves the offsets of the source that are kept in a database, in the transaction of the rows; the last thing that the batch does there.
pub(crate) async fn advance_offsets(
    generation: &Generation,
    ticket: &mut Ticket,
) -> Result<(), PipelineError> {
    let Some(Advances {
        service,
        table,
        list,
    }) = ticket.advances().cloned()
    else {
        return Ok(());
    };
    let failed = |error| PipelineError::system(error, generation.span());
    let place = service.identity();
    if !ticket.holds(place) {
        ticket.add_target(service.begin().await.map_err(failed)?);
    }
    let Some(claim) = ticket.claim(place) else {
        return Err(PipelineError::fault(
            "a claim is not at the place of its service",
        ));
    };
    claim.advance_offsets(&table, &list).await.map_err(failed)
}

/// Opens the database at the address.
pub(crate) fn open(
    generation: &Generation,
    address: &Address,
    span: Span,
) -> Result<Arc<dyn Service>, PipelineError> {
    let services = &generation.script.spec.services;
    services
        .open(address)
        .map_err(|error| PipelineError::system(error, span))
}

/// The place in the script; and what the catalog remembers is thrown away if the database does not know a name.
pub(crate) fn failed(
    service: &Arc<dyn Service>,
    error: dajet_core::SystemError,
    span: Span,
) -> PipelineError {
    if error.unknown_name {
        service.forget();
    }
    PipelineError::system(error, span)
}

fn span_of(generation: &Generation, spec: &SinkSpec) -> Span {
    let (SinkSpec::Messages { statement, .. } | SinkSpec::Rows { statement, .. }) = spec;
    generation.script.spec.plan.statement(*statement).span
}
