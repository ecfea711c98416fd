/// Generates the `#[test]` functions that test the contract, clause by clause.
///
/// `test_suite!(transport, block_on)` or `test_suite!(transport, block_on, limits)`:
///
/// - `transport` is an expression that creates a [`Transport`](etcd_transport::Transport). Each test evaluates it inside the
///   future that `block_on` runs.
/// - `block_on` is the path of a function that runs a future to its end, such as `futures::executor::block_on`, or one of
///   your own that enters the runtime your transport needs.
/// - `limits` is an expression of type [`Limits`](crate::Limits): what the transport cannot do.
#[macro_export]
macro_rules! test_suite {
    ($transport:expr, $block_on:path $(,)?) => {
        $crate::test_suite!($transport, $block_on, $crate::Limits::strict());
    };
    ($transport:expr, $block_on:path, $limits:expr $(,)?) => {
        $crate::__clauses! { ($transport, $block_on, $limits)
            responses {
                every_status_is_a_response
                a_late_head_is_waited_for
                the_head_does_not_wait_for_the_body
                interim_responses_are_skipped
                a_401_is_passed_on_and_not_acted_upon
                redirects_are_not_followed
                response_headers_arrive_as_they_were_sent
                a_response_to_head_has_a_length_and_no_body
            }
            bodies {
                frames_arrive_as_they_are_sent
                trailers_arrive
                trailers_arrive_without_any_data
                an_empty_body_ends_at_once
                a_body_that_ends_with_the_connection_is_complete
                a_body_shorter_than_its_length_is_an_error
                a_chunked_body_without_its_end_is_an_error
                a_body_cut_by_a_reset_is_an_error
                an_encoded_body_arrives_untouched
                eight_mebibytes_arrive
                eight_mebibytes_arrive_in_chunks
            }
            requests {
                method_and_body_reach_the_server
                a_request_without_a_body_has_none
                eight_mebibytes_reach_the_server
                a_streamed_body_reaches_the_server_as_it_comes
                a_streamed_body_that_breaks_off_is_never_a_complete_request
                headers_reach_the_server_as_they_are
                no_header_is_added_that_asks_for_something
                path_and_query_reach_the_server_byte_for_byte
                an_unknown_scheme_is_rejected
                a_uri_without_an_authority_is_rejected
            }
            connections {
                sequential_requests_share_a_connection
                a_connection_closed_while_idle_is_replaced
                a_get_that_fails_with_a_reused_connection_is_not_sent_again
                a_put_that_fails_with_a_reused_connection_is_not_sent_again
                a_put_without_a_body_that_fails_with_a_reused_connection_is_not_sent_again
                a_post_that_fails_with_a_reused_connection_is_not_sent_again
                a_delete_that_fails_with_a_reused_connection_is_not_sent_again
                a_request_reset_on_a_reused_connection_is_not_sent_again
                a_streamed_body_that_fails_with_a_reused_connection_is_not_sent_again
                concurrent_exchanges_do_not_wait_for_one_another
                an_unread_body_does_not_block_others
            }
            failures {
                a_refused_connection_is_a_connect_error
                an_unknown_host_is_a_connect_error
                a_reset_before_the_request_was_read_is_an_interruption
                a_reset_after_the_request_was_read_is_an_interruption
                a_close_without_a_response_is_an_interruption
                a_truncated_head_is_no_response
                a_response_that_is_not_http_is_an_interruption
                sensitive_headers_are_in_no_error
            }
            cancelling {
                silence_does_not_end_an_exchange
                dropping_send_frees_the_connection
                dropping_a_body_frees_the_connection
                dropping_a_silent_body_frees_the_connection
            }
            long_lived {
                long_lived_requests_do_not_exhaust_a_pool
                http2_long_lived_streams_do_not_block_others
                http2_long_lived_streams_are_not_limited_by_one_connection
                http2_long_lived_streams_that_are_dropped_make_room
            }
            unprocessed {
                http2_refused_streams_are_unprocessed
                http2_streams_beyond_the_last_of_a_goaway_are_unprocessed
                http2_a_stream_within_a_goaway_is_completed
                http2_a_goaway_divides_the_streams_of_a_connection
                http2_requests_that_may_have_been_processed_are_interrupted
                http2_without_settings_a_request_is_unprocessed_or_interrupted
            }
            time {
                sleep_and_now_agree
                a_sleep_of_zero_ends_at_once
                a_sleep_can_be_dropped
                the_clock_never_runs_backwards
            }
            http2 {
                http2_by_prior_knowledge
                http2_trailers_arrive_after_the_data
                http2_trailers_arrive_without_any_data
                http2_bodies_stream_both_ways
                http2_duplex_works_or_is_rejected
                http2_without_a_body_sends_none
                http2_unread_bodies_do_not_block_others
                http2_broken_streams_are_errors
                http2_is_not_used_unless_requested
            }
        }

        #[test]
        fn proxies_of_the_environment_are_not_used() {
            $crate::run_with_proxies_in_the_environment(
                concat!(module_path!(), "::proxies_of_the_environment_are_not_used"),
                || {
                    $block_on(async {
                        let limits = $limits;
                        let transport = $transport;
                        $crate::clauses::requests::method_and_body_reach_the_server(
                            &transport, &limits,
                        )
                        .await
                    })
                },
            );
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __clauses {
    ($with:tt $($family:ident { $($clause:ident)* })*) => {
        $($($crate::__clause! { $with $family $clause })*)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __clause {
    (($transport:expr, $block_on:path, $limits:expr) $family:ident $clause:ident) => {
        #[test]
        fn $clause() {
            $crate::run(|| {
                $block_on(async {
                    let limits = $limits;
                    let transport = $transport;
                    $crate::clauses::$family::$clause(&transport, &limits).await
                })
            });
        }
    };
}

#[cfg(test)]
mod tests {
    /// A function that is not in the list would never run.
    #[test]
    fn every_clause_is_in_the_suite() {
        let suite = include_str!("suite.rs");
        let families = [
            include_str!("clauses/responses.rs"),
            include_str!("clauses/bodies.rs"),
            include_str!("clauses/requests.rs"),
            include_str!("clauses/connections.rs"),
            include_str!("clauses/failures.rs"),
            include_str!("clauses/cancelling.rs"),
            include_str!("clauses/time.rs"),
            include_str!("clauses/http2.rs"),
            include_str!("clauses/long_lived.rs"),
            include_str!("clauses/unprocessed.rs"),
        ];
        let clauses = families
            .iter()
            .flat_map(|family| family.split("pub async fn ").skip(1))
            .filter_map(|function| function.split(['(', '<']).next());
        let mut count = 0;
        for clause in clauses {
            let stamped = suite.lines().filter(|line| line.trim() == clause).count();
            assert_eq!(stamped, 1, "{clause}");
            count += 1;
        }
        assert!(count > 50, "{count} clauses found");
    }
}
