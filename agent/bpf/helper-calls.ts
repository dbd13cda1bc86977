/** Helper functions of the kernel by number (include/uapi/linux/bpf.h), those that we call. */
export const bpfHelpers = {
  bpf_map_lookup_elem: 1,
  bpf_map_update_elem: 2,
  bpf_map_delete_elem: 3,
  bpf_ktime_get_ns: 5,
  bpf_get_smp_processor_id: 8,
  bpf_get_current_pid_tgid: 14,
  bpf_get_current_comm: 16,
  bpf_get_current_task: 35,
  bpf_probe_read_user: 112,
  bpf_probe_read_kernel: 113,
  bpf_probe_read_user_str: 114,
  bpf_seq_write: 127,
  bpf_ringbuf_output: 130,
  bpf_ringbuf_reserve: 131,
  bpf_ringbuf_submit: 132,
  bpf_ringbuf_discard: 133,
  bpf_ringbuf_query: 134,
  bpf_copy_from_user: 148,
  bpf_task_pt_regs: 175,
  bpf_copy_from_user_task: 191,
} as const;
export type BpfHelper = keyof typeof bpfHelpers;
