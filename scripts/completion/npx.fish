
complete -c npx -n '__evdb_is_npx; and __evdb_clear_perform_completion_once_result'
complete -c npx -n '__evdb_is_npx; and not __evdb_requires_order_preservation; and __evdb_prepare_completions' -f -a '$__evdb_comp_results'
complete -k -c npx -n '__evdb_is_npx; and __evdb_requires_order_preservation; and __evdb_prepare_completions' -f -a '$__evdb_comp_results'
