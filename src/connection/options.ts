/** One server address; a host that starts with `/` is the folder of a Unix socket. */
export interface HostAddress {
  host: string;
  /** Default 5432. */
  port: number;
}

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** Everything needed to open one connection; `resolveConfig` and `parseConnectionUrl` make it. */
export interface ConnectionOptions {
  /** Tried in order until one answers and fits `targetSessionAttrs`. */
  hosts: HostAddress[];
  database: string;
  user: string;
  password?: string | undefined;
  /** Default `prefer`, as libpq does. */
  sslMode: SslMode;
  /** Path of a PEM file. */
  sslRootCert?: string | undefined;
  sslCert?: string | undefined;
  sslKey?: string | undefined;
  /** The same as PEM text, for programs that hold it; comes before the files. */
  tls?:
    | {
        ca?: string | Buffer | undefined;
        cert?: string | Buffer | undefined;
        key?: string | Buffer | undefined;
      }
    | undefined;
  /** Shown in pg_stat_activity; default `evdb`. */
  applicationName: string;
  /** Default 10000. */
  connectTimeoutMs: number;
  /** libpq's `options`: command-line options for the backend, such as `-c work_mem=64MB`. */
  backendOptions?: string | undefined;
  targetSessionAttrs?:
    | 'any'
    | 'read-write'
    | 'read-only'
    | 'primary'
    | 'standby'
    | 'prefer-standby'
    | undefined;
}
