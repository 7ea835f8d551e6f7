# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every setting of PostgreSQL 14 to 18, as pg_settings of those servers reports it (data only).

Source: pg_settings of 14.23, 15.18, 16.14, 17.10 and 18.4 with pg_stat_statements and auto_explain preloaded; the
compression methods and io_uring are Debian's builds' own. One entry: name|type|context|unit|limits|since|until with
type b bool, i integer, r real, e enum, s string; context p postmaster, h sighup, S superuser, B superuser-backend,
k backend, u user; limits min:max for numbers, the accepted words for enums; since and until are majors, empty for
"all of 14 to 18". Entries end with a semicolon.
"""

from __future__ import annotations

ENTRIES = """
DateStyle|s|u; IntervalStyle|e|u||postgres,postgres_verbose,sql_standard,iso_8601; TimeZone|s|u;
allow_alter_system|b|h|||17; allow_in_place_tablespaces|b|S; allow_system_table_mods|b|S; application_name|s|u;
archive_cleanup_command|s|h; archive_command|s|h; archive_library|s|h|||15; archive_mode|e|p||always,on,off;
archive_timeout|i|h|s|0:1073741823; array_nulls|b|u; authentication_timeout|i|h|s|1:600;
auto_explain.log_analyze|b|S; auto_explain.log_buffers|b|S; auto_explain.log_format|e|S||text,xml,json,yaml;
auto_explain.log_level|e|S||debug5,debug4,debug3,debug2,debug1,info,notice,warning,log;
auto_explain.log_min_duration|i|S|ms|-1:2147483647; auto_explain.log_nested_statements|b|S;
auto_explain.log_parameter_max_length|i|S|B|-1:2147483647|16; auto_explain.log_settings|b|S;
auto_explain.log_timing|b|S; auto_explain.log_triggers|b|S; auto_explain.log_verbose|b|S; auto_explain.log_wal|b|S;
auto_explain.sample_rate|r|S||0:1; autovacuum|b|h; autovacuum_analyze_scale_factor|r|h||0:100;
autovacuum_analyze_threshold|i|h||0:2147483647; autovacuum_freeze_max_age|i|p||100000:2000000000;
autovacuum_max_workers|i|p||1:262143||17; autovacuum_max_workers|i|h||1:262143|18;
autovacuum_multixact_freeze_max_age|i|p||10000:2000000000; autovacuum_naptime|i|h|s|1:2147483;
autovacuum_vacuum_cost_delay|r|h|ms|-1:100; autovacuum_vacuum_cost_limit|i|h||-1:10000;
autovacuum_vacuum_insert_scale_factor|r|h||0:100; autovacuum_vacuum_insert_threshold|i|h||-1:2147483647;
autovacuum_vacuum_max_threshold|i|h||-1:2147483647|18; autovacuum_vacuum_scale_factor|r|h||0:100;
autovacuum_vacuum_threshold|i|h||0:2147483647; autovacuum_work_mem|i|h|kB|-1:2147483647;
autovacuum_worker_slots|i|p||1:262143|18; backend_flush_after|i|u|8kB|0:256;
backslash_quote|e|u||safe_encoding,on,off; backtrace_functions|s|S; bgwriter_delay|i|h|ms|10:10000;
bgwriter_flush_after|i|h|8kB|0:256; bgwriter_lru_maxpages|i|h||0:1073741823; bgwriter_lru_multiplier|r|h||0:10;
bonjour|b|p; bonjour_name|s|p; bytea_output|e|u||escape,hex; check_function_bodies|b|u;
checkpoint_completion_target|r|h||0:1; checkpoint_flush_after|i|h|8kB|0:256; checkpoint_timeout|i|h|s|30:86400;
checkpoint_warning|i|h|s|0:2147483647; client_connection_check_interval|i|u|ms|0:2147483647; client_encoding|s|u;
client_min_messages|e|u||debug5,debug4,debug3,debug2,debug1,log,notice,warning,error; cluster_name|s|p;
commit_delay|i|S||0:100000; commit_siblings|i|u||0:1000; commit_timestamp_buffers|i|p|8kB|0:131072|17;
compute_query_id|e|S||auto,regress,on,off; config_file|s|p; constraint_exclusion|e|u||partition,on,off;
cpu_index_tuple_cost|r|u||0:1.79769e+308; cpu_operator_cost|r|u||0:1.79769e+308; cpu_tuple_cost|r|u||0:1.79769e+308;
createrole_self_grant|s|u|||16; cursor_tuple_fraction|r|u||0:1; data_directory|s|p; data_sync_retry|b|p;
db_user_namespace|b|h||||16; deadlock_timeout|i|S|ms|1:2147483647; debug_discard_caches|i|S||0:0;
debug_io_direct|s|p|||16; debug_logical_replication_streaming|e|u||buffered,immediate|16;
debug_parallel_query|e|u||off,on,regress|16; debug_pretty_print|b|u; debug_print_parse|b|u; debug_print_plan|b|u;
debug_print_rewritten|b|u; default_statistics_target|i|u||1:10000; default_table_access_method|s|u;
default_tablespace|s|u; default_text_search_config|s|u; default_toast_compression|e|u||pglz,lz4;
default_transaction_deferrable|b|u; default_transaction_isolation|e|u||serializable,repeatable read,read
committed,read uncommitted; default_transaction_read_only|b|u; dynamic_library_path|s|S;
dynamic_shared_memory_type|e|p||posix,sysv,mmap; effective_cache_size|i|u|8kB|1:2147483647;
effective_io_concurrency|i|u||0:1000; enable_async_append|b|u; enable_bitmapscan|b|u;
enable_distinct_reordering|b|u|||18; enable_gathermerge|b|u; enable_group_by_reordering|b|u|||17;
enable_hashagg|b|u; enable_hashjoin|b|u; enable_incremental_sort|b|u; enable_indexonlyscan|b|u;
enable_indexscan|b|u; enable_material|b|u; enable_memoize|b|u; enable_mergejoin|b|u; enable_nestloop|b|u;
enable_parallel_append|b|u; enable_parallel_hash|b|u; enable_partition_pruning|b|u;
enable_partitionwise_aggregate|b|u; enable_partitionwise_join|b|u; enable_presorted_aggregate|b|u|||16;
enable_self_join_elimination|b|u|||18; enable_seqscan|b|u; enable_sort|b|u; enable_tidscan|b|u;
escape_string_warning|b|u; event_source|s|p; event_triggers|b|S|||17; exit_on_error|b|u;
extension_control_path|s|S|||18; external_pid_file|s|p; extra_float_digits|i|u||-15:3;
file_copy_method|e|u||copy,clone|18; file_extend_method|e|h||posix_fallocate,write_zeros|16;
force_parallel_mode|e|u||off,on,regress||15; from_collapse_limit|i|u||1:2147483647; fsync|b|h; full_page_writes|b|h;
geqo|b|u; geqo_effort|i|u||1:10; geqo_generations|i|u||0:2147483647; geqo_pool_size|i|u||0:2147483647;
geqo_seed|r|u||0:1; geqo_selection_bias|r|u||1.5:2; geqo_threshold|i|u||2:2147483647;
gin_fuzzy_search_limit|i|u||0:2147483647; gin_pending_list_limit|i|u|kB|64:2147483647;
gss_accept_delegation|b|h|||16; hash_mem_multiplier|r|u||1:1000; hba_file|s|p; hot_standby|b|p;
hot_standby_feedback|b|h; huge_page_size|i|p|kB|0:2147483647; huge_pages|e|p||off,on,try;
icu_validation_level|e|u||disabled,debug5,debug4,debug3,debug2,debug1,log,notice,warning,error|16; ident_file|s|p;
idle_in_transaction_session_timeout|i|u|ms|0:2147483647; idle_replication_slot_timeout|i|h|s|0:2147483647|18;
idle_session_timeout|i|u|ms|0:2147483647; ignore_checksum_failure|b|S; ignore_invalid_pages|b|p;
ignore_system_indexes|b|k; io_combine_limit|i|u|8kB|1:32|17|17; io_combine_limit|i|u|8kB|1:128|18;
io_max_combine_limit|i|p|8kB|1:128|18; io_max_concurrency|i|p||-1:1024|18; io_method|e|p||sync,worker,io_uring|18;
io_workers|i|h||1:32|18; jit|b|u; jit_above_cost|r|u||-1:1.79769e+308; jit_debugging_support|b|B;
jit_dump_bitcode|b|S; jit_expressions|b|u; jit_inline_above_cost|r|u||-1:1.79769e+308;
jit_optimize_above_cost|r|u||-1:1.79769e+308; jit_profiling_support|b|B; jit_provider|s|p; jit_tuple_deforming|b|u;
join_collapse_limit|i|u||1:2147483647; krb_caseins_users|b|h; krb_server_keyfile|s|h; lc_messages|s|S;
lc_monetary|s|u; lc_numeric|s|u; lc_time|s|u; listen_addresses|s|p; lo_compat_privileges|b|S;
local_preload_libraries|s|u; lock_timeout|i|u|ms|0:2147483647; log_autovacuum_min_duration|i|h|ms|-1:2147483647;
log_checkpoints|b|h; log_connections|b|B||||17; log_connections|s|B|||18; log_destination|s|h; log_directory|s|h;
log_disconnections|b|B; log_duration|b|S; log_error_verbosity|e|S||terse,default,verbose; log_executor_stats|b|S;
log_file_mode|i|h||0:511; log_filename|s|h; log_hostname|b|h; log_line_prefix|s|h; log_lock_failures|b|S|||18;
log_lock_waits|b|S; log_min_duration_sample|i|S|ms|-1:2147483647; log_min_duration_statement|i|S|ms|-1:2147483647;
log_min_error_statement|e|S||debug5,debug4,debug3,debug2,debug1,info,notice,warning,error,log,fatal,panic;
log_min_messages|e|S||debug5,debug4,debug3,debug2,debug1,info,notice,warning,error,log,fatal,panic;
log_parameter_max_length|i|S|B|-1:1073741823; log_parameter_max_length_on_error|i|u|B|-1:1073741823;
log_parser_stats|b|S; log_planner_stats|b|S; log_recovery_conflict_waits|b|h; log_replication_commands|b|S;
log_rotation_age|i|h|min|0:35791394; log_rotation_size|i|h|kB|0:2097151||17;
log_rotation_size|i|h|kB|0:2147483647|18; log_startup_progress_interval|i|h|ms|0:2147483647|15;
log_statement|e|S||none,ddl,mod,all; log_statement_sample_rate|r|S||0:1; log_statement_stats|b|S;
log_temp_files|i|S|kB|-1:2147483647; log_timezone|s|h; log_transaction_sample_rate|r|S||0:1;
log_truncate_on_rotation|b|h; logging_collector|b|p; logical_decoding_work_mem|i|u|kB|64:2147483647;
maintenance_io_concurrency|i|u||0:1000; maintenance_work_mem|i|u|kB|1024:2147483647||16;
maintenance_work_mem|i|u|kB|64:2147483647|17; max_active_replication_origins|i|p||0:262143|18;
max_connections|i|p||1:262143; max_files_per_process|i|p||64:2147483647;
max_locks_per_transaction|i|p||10:2147483647; max_logical_replication_workers|i|p||0:262143;
max_notify_queue_pages|i|p||64:2147483647|17; max_parallel_apply_workers_per_subscription|i|h||0:1024|16;
max_parallel_maintenance_workers|i|u||0:1024; max_parallel_workers|i|u||0:1024;
max_parallel_workers_per_gather|i|u||0:1024; max_pred_locks_per_page|i|h||0:2147483647;
max_pred_locks_per_relation|i|h||-2147483648:2147483647; max_pred_locks_per_transaction|i|p||10:2147483647;
max_prepared_transactions|i|p||0:262143; max_replication_slots|i|p||0:262143;
max_slot_wal_keep_size|i|h|MB|-1:2147483647; max_stack_depth|i|S|kB|100:2147483647;
max_standby_archive_delay|i|h|ms|-1:2147483647; max_standby_streaming_delay|i|h|ms|-1:2147483647;
max_sync_workers_per_subscription|i|h||0:262143; max_wal_senders|i|p||0:262143; max_wal_size|i|h|MB|2:2147483647;
max_worker_processes|i|p||0:262143; md5_password_warnings|b|u|||18; min_dynamic_shared_memory|i|p|MB|0:2147483647;
min_parallel_index_scan_size|i|u|8kB|0:715827882; min_parallel_table_scan_size|i|u|8kB|0:715827882;
min_wal_size|i|h|MB|2:2147483647; multixact_member_buffers|i|p|8kB|16:131072|17;
multixact_offset_buffers|i|p|8kB|16:131072|17; notify_buffers|i|p|8kB|16:131072|17;
oauth_validator_libraries|s|h|||18; old_snapshot_threshold|i|p|min|-1:86400||16; parallel_leader_participation|b|u;
parallel_setup_cost|r|u||0:1.79769e+308; parallel_tuple_cost|r|u||0:1.79769e+308;
password_encryption|e|u||md5,scram-sha-256; pg_stat_statements.max|i|p||100:1073741823; pg_stat_statements.save|b|h;
pg_stat_statements.track|e|S||none,top,all; pg_stat_statements.track_planning|b|S;
pg_stat_statements.track_utility|b|S; plan_cache_mode|e|u||auto,force_generic_plan,force_custom_plan;
port|i|p||1:65535; post_auth_delay|i|k|s|0:2147; pre_auth_delay|i|h|s|0:60; primary_conninfo|s|h;
primary_slot_name|s|h; promote_trigger_file|s|h||||15; quote_all_identifiers|b|u;
random_page_cost|r|u||0:1.79769e+308; recovery_end_command|s|h; recovery_init_sync_method|e|h||fsync,syncfs;
recovery_min_apply_delay|i|h|ms|0:2147483647; recovery_prefetch|e|h||off,on,try|15; recovery_target|s|p;
recovery_target_action|e|p||pause,promote,shutdown; recovery_target_inclusive|b|p; recovery_target_lsn|s|p;
recovery_target_name|s|p; recovery_target_time|s|p; recovery_target_timeline|s|p; recovery_target_xid|s|p;
recursive_worktable_factor|r|u||0.001:1e+06|15; remove_temp_files_after_crash|b|h;
reserved_connections|i|p||0:262143|16; restart_after_crash|b|h; restore_command|s|h;
restrict_nonsystem_relation_kind|s|u; row_security|b|u; scram_iterations|i|u||1:2147483647|16; search_path|s|u;
send_abort_for_crash|b|h|||16; send_abort_for_kill|b|h|||16; seq_page_cost|r|u||0:1.79769e+308;
serializable_buffers|i|p|8kB|16:131072|17; session_preload_libraries|s|S;
session_replication_role|e|S||origin,replica,local; shared_buffers|i|p|8kB|16:1073741823;
shared_memory_type|e|p||sysv,mmap; shared_preload_libraries|s|p; ssl|b|h; ssl_ca_file|s|h; ssl_cert_file|s|h;
ssl_ciphers|s|h; ssl_crl_dir|s|h; ssl_crl_file|s|h; ssl_dh_params_file|s|h; ssl_ecdh_curve|s|h||||17;
ssl_groups|s|h|||18; ssl_key_file|s|h; ssl_max_protocol_version|e|h||,TLSv1,TLSv1.1,TLSv1.2,TLSv1.3;
ssl_min_protocol_version|e|h||TLSv1,TLSv1.1,TLSv1.2,TLSv1.3; ssl_passphrase_command|s|h;
ssl_passphrase_command_supports_reload|b|h; ssl_prefer_server_ciphers|b|h; ssl_tls13_ciphers|s|h|||18;
standard_conforming_strings|b|u; statement_timeout|i|u|ms|0:2147483647;
stats_fetch_consistency|e|u||none,cache,snapshot|15; stats_temp_directory|s|h||||14;
subtransaction_buffers|i|p|8kB|0:131072|17; summarize_wal|b|h|||17; superuser_reserved_connections|i|p||0:262143;
sync_replication_slots|b|h|||17; synchronize_seqscans|b|u; synchronized_standby_slots|s|h|||17;
synchronous_commit|e|u||local,remote_write,remote_apply,on,off; synchronous_standby_names|s|h;
syslog_facility|e|h||local0,local1,local2,local3,local4,local5,local6,local7; syslog_ident|s|h;
syslog_sequence_numbers|b|h; syslog_split_messages|b|h; tcp_keepalives_count|i|u||0:2147483647;
tcp_keepalives_idle|i|u|s|0:2147483647; tcp_keepalives_interval|i|u|s|0:2147483647;
tcp_user_timeout|i|u|ms|0:2147483647; temp_buffers|i|u|8kB|100:1073741823; temp_file_limit|i|S|kB|-1:2147483647;
temp_tablespaces|s|u; timezone_abbreviations|s|u; trace_connection_negotiation|b|p|||17; trace_notify|b|u;
trace_recovery_messages|e|h||debug5,debug4,debug3,debug2,debug1,log,notice,warning,error||16; trace_sort|b|u;
track_activities|b|S; track_activity_query_size|i|p|B|100:1048576; track_commit_timestamp|b|p;
track_cost_delay_timing|b|S|||18; track_counts|b|S; track_functions|e|S||none,pl,all; track_io_timing|b|S;
track_wal_io_timing|b|S; transaction_buffers|i|p|8kB|0:131072|17; transaction_deferrable|b|u;
transaction_isolation|e|u||serializable,repeatable read,read committed,read uncommitted; transaction_read_only|b|u;
transaction_timeout|i|u|ms|0:2147483647|17; transform_null_equals|b|u; unix_socket_directories|s|p;
unix_socket_group|s|p; unix_socket_permissions|i|p||0:511; update_process_title|b|S;
vacuum_buffer_usage_limit|i|u|kB|0:16777216|16; vacuum_cost_delay|r|u|ms|0:100; vacuum_cost_limit|i|u||1:10000;
vacuum_cost_page_dirty|i|u||0:10000; vacuum_cost_page_hit|i|u||0:10000; vacuum_cost_page_miss|i|u||0:10000;
vacuum_defer_cleanup_age|i|h||0:1000000||15; vacuum_failsafe_age|i|u||0:2100000000;
vacuum_freeze_min_age|i|u||0:1000000000; vacuum_freeze_table_age|i|u||0:2000000000;
vacuum_max_eager_freeze_failure_rate|r|u||0:1|18; vacuum_multixact_failsafe_age|i|u||0:2100000000;
vacuum_multixact_freeze_min_age|i|u||0:1000000000; vacuum_multixact_freeze_table_age|i|u||0:2000000000;
vacuum_truncate|b|u|||18; wal_buffers|i|p|8kB|-1:262143; wal_compression|b|S||||14;
wal_compression|e|S||pglz,lz4,zstd,on,off|15; wal_consistency_checking|s|S;
wal_decode_buffer_size|i|p|B|65536:1073741823|15; wal_init_zero|b|S; wal_keep_size|i|h|MB|0:2147483647;
wal_level|e|p||minimal,replica,logical; wal_log_hints|b|p; wal_receiver_create_temp_slot|b|h;
wal_receiver_status_interval|i|h|s|0:2147483; wal_receiver_timeout|i|h|ms|0:2147483647; wal_recycle|b|S;
wal_retrieve_retry_interval|i|h|ms|1:2147483647; wal_sender_timeout|i|u|ms|0:2147483647;
wal_skip_threshold|i|u|kB|0:2147483647; wal_summary_keep_time|i|h|min|0:35791394|17;
wal_sync_method|e|h||fsync,fdatasync,open_sync,open_datasync; wal_writer_delay|i|h|ms|1:10000;
wal_writer_flush_after|i|h|8kB|0:2147483647; work_mem|i|u|kB|64:2147483647; xmlbinary|e|u||base64,hex;
xmloption|e|u||content,document; zero_damaged_pages|b|S
"""
