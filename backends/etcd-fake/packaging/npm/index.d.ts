/** The path of the program for this machine. */
declare const program: string;
export = program;
