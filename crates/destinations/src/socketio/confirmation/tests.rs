use super::*;
use kete_config::Setting;
use kete_pipeline::FailureReason;
use proptest::prelude::*;

fn barrier() -> Confirmation {
    Confirmation::new(Confirm::Barrier, 1)
}

/// Sends events one by one as a batch, and returns the questions that follow.
fn send(confirmation: &mut Confirmation, tickets: std::ops::RangeInclusive<u64>) -> Vec<Question> {
    let mut questions = Vec::new();
    for ticket in tickets {
        confirmation.sent(ticket);
        questions.extend(confirmation.question_if_many());
    }
    questions.extend(confirmation.question_after_batch());
    questions
}

fn reports(confirmation: &mut Confirmation) -> Vec<ConnectionEvent> {
    let reports = std::iter::from_fn(|| confirmation.next_report()).collect();
    assert!(!confirmation.has_reports());
    reports
}

fn confirmed(through: u64) -> ConnectionEvent {
    ConnectionEvent::Confirmed { through }
}

fn too_large() -> EventFailure {
    EventFailure::Permanent {
        reason: FailureReason::TooLarge,
        detail: "too large".to_owned(),
    }
}

#[test]
fn a_lone_event_is_asked_about_at_once() {
    let mut confirmation = barrier();
    assert_eq!(send(&mut confirmation, 1..=1), [Question::Barrier(1)]);
    assert!(confirmation.carries_events());
    assert_eq!(confirmation.answered(1), None);
    assert_eq!(reports(&mut confirmation), [confirmed(1)]);
    assert!(!confirmation.carries_events());
    assert!(!confirmation.waits_for_an_answer());
}

#[test]
fn while_a_question_is_open_batches_go_unasked_until_the_answer() {
    let mut confirmation = barrier();
    assert_eq!(send(&mut confirmation, 1..=3), [Question::Barrier(1)]);
    assert_eq!(send(&mut confirmation, 4..=10), []);
    assert_eq!(send(&mut confirmation, 11..=20), []);
    assert_eq!(confirmation.answered(1), Some(Question::Barrier(2)));
    assert_eq!(reports(&mut confirmation), [confirmed(3)]);
    assert_eq!(confirmation.answered(2), None);
    assert_eq!(reports(&mut confirmation), [confirmed(20)]);
}

#[test]
fn a_burst_has_a_question_at_least_every_256_events() {
    let mut confirmation = barrier();
    let questions = send(&mut confirmation, 1..=1000);
    assert_eq!(questions, [1, 2, 3].map(Question::Barrier));
    assert_eq!(confirmation.answered(2), Some(Question::Barrier(4)));
    assert_eq!(reports(&mut confirmation), [confirmed(512)]);
    assert_eq!(confirmation.answered(4), None);
    assert_eq!(reports(&mut confirmation), [confirmed(1000)]);
}

#[test]
fn small_batches_add_up_to_a_question() {
    let mut confirmation = barrier();
    let questions: Vec<Question> = (1..=300)
        .flat_map(|ticket| send(&mut confirmation, ticket..=ticket))
        .collect();
    // The first event, then 256 more behind its open question.
    assert_eq!(questions, [Question::Barrier(1), Question::Barrier(2)]);
    confirmation.answered(2);
    assert_eq!(reports(&mut confirmation), [confirmed(257)]);
}

#[test]
fn an_answer_confirms_all_questions_before_it_and_late_ones_change_nothing() {
    let mut confirmation = barrier();
    send(&mut confirmation, 1..=600);
    confirmation.answered(2);
    assert_eq!(reports(&mut confirmation), [confirmed(512)]);
    assert_eq!(confirmation.answered(1), None);
    assert_eq!(confirmation.answered(2), None);
    assert_eq!(reports(&mut confirmation), []);
    assert!(confirmation.carries_events());
}

#[test]
fn an_event_that_cannot_be_sent_is_reported_before_the_confirmation_that_passes_over_it() {
    let mut confirmation = barrier();
    confirmation.sent(1);
    confirmation.failed(2, too_large());
    confirmation.sent(3);
    assert_eq!(
        confirmation.question_after_batch(),
        Some(Question::Barrier(1))
    );
    confirmation.answered(1);
    let failed = ConnectionEvent::Failed {
        ticket: 2,
        failure: too_large(),
    };
    assert_eq!(reports(&mut confirmation), [failed, confirmed(3)]);
}

#[test]
fn a_batch_of_nothing_but_failures_asks_nothing() {
    let mut confirmation = barrier();
    confirmation.failed(1, too_large());
    assert_eq!(confirmation.question_after_batch(), None);
    assert!(!confirmation.carries_events());
    assert!(confirmation.has_reports());
}

#[test]
fn reports_are_merged_until_they_are_taken() {
    let mut confirmation = barrier();
    send(&mut confirmation, 1..=1000);
    for number in 1..=4 {
        confirmation.answered(number);
    }
    assert_eq!(reports(&mut confirmation), [confirmed(1000)]);
}

#[test]
fn written_asks_in_the_same_way_for_flushes() {
    let mut confirmation = Confirmation::new(Confirm::Written, 1);
    assert_eq!(send(&mut confirmation, 1..=2), [Question::Flushed(1)]);
    assert_eq!(send(&mut confirmation, 3..=3), []);
    assert_eq!(confirmation.answered(1), Some(Question::Flushed(2)));
    assert_eq!(reports(&mut confirmation), [confirmed(2)]);
}

#[test]
fn a_probe_is_a_barrier_that_also_confirms_what_was_sent_before() {
    let mut confirmation = barrier();
    send(&mut confirmation, 1..=2);
    confirmation.sent(3);
    assert_eq!(confirmation.probe(), Question::Barrier(2));
    assert_eq!(confirmation.answered(1), None);
    assert_eq!(reports(&mut confirmation), [confirmed(2)]);
    confirmation.answered(2);
    assert_eq!(
        reports(&mut confirmation),
        [confirmed(3), ConnectionEvent::Proven]
    );
}

#[test]
fn a_bare_probe_proves_and_confirms_nothing() {
    for confirm in [Confirm::Barrier, Confirm::Ack, Confirm::Written] {
        let mut confirmation = Confirmation::new(confirm, 5);
        let question = confirmation.probe();
        assert_eq!(
            question,
            if confirm == Confirm::Barrier {
                Question::Barrier(5)
            } else {
                Question::Life(5)
            }
        );
        assert!(confirmation.waits_for_an_answer());
        confirmation.answered(5);
        assert_eq!(reports(&mut confirmation), [ConnectionEvent::Proven]);
        assert!(!confirmation.waits_for_an_answer());
    }
}

#[test]
fn an_answer_to_something_earlier_proves_nothing() {
    let mut confirmation = Confirmation::new(Confirm::Written, 1);
    assert_eq!(send(&mut confirmation, 1..=1), [Question::Flushed(1)]);
    assert_eq!(confirmation.probe(), Question::Life(2));
    confirmation.answered(1);
    assert_eq!(reports(&mut confirmation), [confirmed(1)]);
    assert_eq!(confirmation.way_of_life(3), Some(1));
    confirmation.answered(3);
    assert_eq!(reports(&mut confirmation), [ConnectionEvent::Proven]);
}

#[test]
fn a_sign_of_life_has_its_own_numbers_and_the_next_question_comes_after_them() {
    let mut confirmation = Confirmation::new(Confirm::Written, 1);
    assert_eq!(confirmation.probe(), Question::Life(1));
    assert_eq!(
        [1, 2, 3, 0].map(|number| confirmation.way_of_life(number)),
        [Some(0), Some(1), None, None]
    );
    assert_eq!(send(&mut confirmation, 1..=1), [Question::Flushed(3)]);
    confirmation.answered(1);
    assert_eq!(
        confirmation.way_of_life(1),
        None,
        "the question is not open any more"
    );
}

#[test]
fn acknowledgements_come_in_any_order_and_are_reported_together() {
    let mut confirmation = Confirmation::new(Confirm::Ack, 1);
    for ticket in 1..=3 {
        assert_eq!(confirmation.next_ack(), Some(ticket as u32 - 1));
        confirmation.sent(ticket);
    }
    assert_eq!(confirmation.question_after_batch(), None);
    confirmation.acknowledged(2, b"[]", None);
    confirmation.acknowledged(0, b"[]", None);
    confirmation.acknowledged(0, b"[]", None);
    confirmation.acknowledged(77, b"[]", None);
    assert_eq!(
        reports(&mut confirmation),
        [ConnectionEvent::Acknowledged {
            tickets: vec![3, 1]
        }]
    );
    assert!(confirmation.carries_events());
    confirmation.acknowledged(1, b"[]", None);
    assert!(!confirmation.carries_events());
}

#[test]
fn acknowledgement_ids_start_again_below_the_limit() {
    let mut confirmation = Confirmation::new(Confirm::Ack, 1);
    confirmation.next_ack = Emit::ACK_LIMIT - 1;
    confirmation.sent(1);
    assert_eq!(confirmation.next_ack(), Some(0));
    confirmation.sent(2);
    confirmation.acknowledged(Emit::ACK_LIMIT - 1, b"[]", None);
    assert_eq!(
        reports(&mut confirmation),
        [ConnectionEvent::Acknowledged { tickets: vec![1] }]
    );
}

#[test]
fn the_error_pointer_decides_whether_an_acknowledgement_refuses() {
    let pointer = ErrorPointer::parse("/error").unwrap();
    let mut confirmation = Confirmation::new(Confirm::Ack, 1);
    confirmation.sent(1);
    confirmation.sent(2);
    confirmation.acknowledged(0, br#"[{"error":"no room"}]"#, Some(&pointer));
    confirmation.acknowledged(1, br#"[{"error":null}]"#, Some(&pointer));
    let refused = EventFailure::Refused {
        detail: "no room".to_owned(),
    };
    assert_eq!(
        reports(&mut confirmation),
        [
            ConnectionEvent::Failed {
                ticket: 1,
                failure: refused
            },
            ConnectionEvent::Acknowledged { tickets: vec![2] },
        ]
    );
}

#[test]
fn what_was_asked_for_one_loan_never_confirms_another() {
    let mut confirmation = barrier();
    send(&mut confirmation, 1..=5);
    confirmation.probe();
    confirmation.start_again();
    assert!(!confirmation.waits_for_an_answer());
    assert_eq!(send(&mut confirmation, 1..=2), [Question::Barrier(3)]);
    confirmation.answered(1);
    confirmation.answered(2);
    assert_eq!(reports(&mut confirmation), []);
    confirmation.answered(3);
    assert_eq!(reports(&mut confirmation), [confirmed(2)]);
}

#[test]
fn an_acknowledgement_of_one_loan_never_settles_an_event_of_another() {
    let mut confirmation = Confirmation::new(Confirm::Ack, 1);
    confirmation.sent(1);
    confirmation.start_again();
    assert!(!confirmation.carries_events());
    confirmation.sent(1);
    confirmation.acknowledged(0, b"[]", None);
    assert_eq!(reports(&mut confirmation), []);
    confirmation.acknowledged(1, b"[]", None);
    assert_eq!(
        reports(&mut confirmation),
        [ConnectionEvent::Acknowledged { tickets: vec![1] }]
    );
}

/// What a connection goes through, as far as its confirmations are concerned.
#[derive(Debug, Clone)]
enum Step {
    /// A batch of so many events is sent, every so manyth of which is too large.
    Send { events: u64, too_large: u64 },
    /// The server answers so many of the open questions at once.
    Answer(usize),
    /// The lane asks for a sign of life.
    Probe,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let send = (1_u64..700, 2_u64..50);
    let step = prop_oneof![
        3 => send.prop_map(|(events, too_large)| Step::Send { events, too_large }),
        3 => (1_usize..4).prop_map(Step::Answer),
        1 => Just(Step::Probe),
    ];
    proptest::collection::vec(step, 1..40)
}

/// A server that answers questions in order, and what it has read.
#[derive(Default)]
struct Server {
    /// The number of each open question, and the last ticket that was sent before it.
    open: VecDeque<(u64, u64)>,
    sent: u64,
    sent_after_question: usize,
}

impl Server {
    fn asked(&mut self, question: Question) {
        let number = match question {
            Question::Barrier(number) | Question::Flushed(number) | Question::Life(number) => {
                number
            }
        };
        self.open.push_back((number, self.sent));
        self.sent_after_question = 0;
    }

    fn sent(&mut self, ticket: u64) {
        self.sent = ticket;
        self.sent_after_question += 1;
    }
}

/// Checks reports against what the server has read.
fn check_reports(confirmation: &mut Confirmation, read: u64, confirmed: &mut u64) {
    for report in reports(confirmation) {
        match report {
            ConnectionEvent::Confirmed { through } => {
                assert!(through > *confirmed, "nothing is confirmed twice");
                assert!(
                    through <= read,
                    "{through} is confirmed, the server has read {read}"
                );
                *confirmed = through;
            }
            ConnectionEvent::Failed { .. } | ConnectionEvent::Proven => {}
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_confirmed_that_was_not_read_and_in_the_end_everything_is(steps in steps()) {
        let mut confirmation = barrier();
        let (mut server, mut ticket, mut read, mut confirmed) = (Server::default(), 0, 0, 0);
        let drain = std::iter::repeat_n(Step::Answer(1), 200);
        for step in steps.into_iter().chain(drain) {
            match step {
                Step::Send { events, too_large: every } => {
                    for _ in 0..events {
                        ticket += 1;
                        if ticket % every == 0 {
                            confirmation.failed(ticket, too_large());
                        } else {
                            confirmation.sent(ticket);
                            server.sent(ticket);
                        }
                        if let Some(question) = confirmation.question_if_many() {
                            server.asked(question);
                        }
                        prop_assert!(server.sent_after_question < EVERY);
                    }
                    if let Some(question) = confirmation.question_after_batch() {
                        server.asked(question);
                    }
                    prop_assert!(server.sent_after_question == 0 || !server.open.is_empty());
                }
                Step::Answer(count) => {
                    // Answers are merged on their way, so that only the last one is seen.
                    let count = count.min(server.open.len());
                    let answered = server.open.drain(..count).next_back();
                    let Some((number, through)) = answered else { continue };
                    read = through;
                    if let Some(question) = confirmation.answered(number) {
                        server.asked(question);
                    }
                }
                Step::Probe => {
                    let question = confirmation.probe();
                    server.asked(question);
                }
            }
            check_reports(&mut confirmation, read, &mut confirmed);
        }
        prop_assert!(!confirmation.carries_events());
        prop_assert!(!confirmation.waits_for_an_answer());
        prop_assert_eq!(confirmed, server.sent);
    }
}
