// What every thread does in C#. `Tree` tells the tree; `Native` is C that runs Lua.
using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Crossing {
  static class Tree {
    [MethodImpl(MethodImplOptions.InternalCall)] internal static extern int Enter(string name);
    [MethodImpl(MethodImplOptions.InternalCall)] internal static extern void Leave(int call);
    [MethodImpl(MethodImplOptions.InternalCall)] internal static extern void Caught(int call);
    [MethodImpl(MethodImplOptions.InternalCall)] internal static extern void Begin(string thread, int place);
  }

  static class Native {
    [MethodImpl(MethodImplOptions.InternalCall)] internal static extern int Lua(string function, int n);
    [MethodImpl(MethodImplOptions.InternalCall)] internal static extern int TryLua(string function, int n);
    [MethodImpl(MethodImplOptions.InternalCall)] internal static extern int Resume(string function, int n);
    [MethodImpl(MethodImplOptions.InternalCall)] internal static extern int Again(string method, int n);
    [MethodImpl(MethodImplOptions.InternalCall)] internal static extern void Listen(IntPtr function);
    [MethodImpl(MethodImplOptions.InternalCall)] internal static extern void Open();
    [MethodImpl(MethodImplOptions.InternalCall)] internal static extern void Close();
  }

  static class Steps {
    delegate int Listener(int n);
    static Listener listener;

    static int Listen(int n) {
      int call = Tree.Enter("Crossing.Steps:Listen");
      listener = Called;
      Native.Listen(Marshal.GetFunctionPointerForDelegate(listener));
      Tree.Leave(call);
      return n;
    }

    // By its address: nothing but the call itself tells of it.
    static int Called(int n) {
      int call = Tree.Enter("Crossing.Steps:Called");
      n = Native.Lua("walk", n);
      Tree.Leave(call);
      return n;
    }

    static int Main(int levels) {
      int call = Tree.Enter("Crossing.Steps:Main");
      int sum = Walk(levels) + Countdown(2) + Errors(levels) + Drive(3) + Native.Lua("coroutines", levels);
      Tree.Leave(call);
      return sum;
    }

    static int Walk(int levels) {
      int call = Tree.Enter("Crossing.Steps:Walk");
      int sum = Leaf(levels) + Native.Lua("walk", levels);
      Tree.Leave(call);
      return sum;
    }

    static int Leaf(int n) {
      int call = Tree.Enter("Crossing.Steps:Leaf");
      Tree.Leave(call);
      return n;
    }

    static int Countdown(int n) {
      int call = Tree.Enter("Crossing.Steps:Countdown");
      n = n > 0 ? Countdown(n - 1) + 1 : Native.Lua("walk", 0);
      Tree.Leave(call);
      return n;
    }

    static int Throw(int n) {
      int call = Tree.Enter("Crossing.Steps:Throw");
      if (n == 0) throw new InvalidOperationException("as it should");
      n = Throw(n - 1);
      Tree.Leave(call);
      return n;
    }

    static int Errors(int n) {
      int call = Tree.Enter("Crossing.Steps:Errors");
      // An error that ends in Lua, and one that ends in the C below.
      int sum = Native.Lua("careful", n) + Native.TryLua("fails", n) + Native.TryLua("yields", n);
      // An exception that passes through Lua, one of Lua's errors, and one that passes through C alone.
      foreach (string function in new[] { "through", "fails" }) {
        try { sum += Native.Lua(function, n); } catch (Exception) { Tree.Caught(call); }
      }
      try { sum += Native.Again("Throw", n); } catch (InvalidOperationException) { Tree.Caught(call); }
      try { sum += Throw(n); } catch (InvalidOperationException) { Tree.Caught(call); }
      sum += Leaf(n);
      Tree.Leave(call);
      return sum;
    }

    // Resumes a coroutine of Lua's until it is over.
    static int Drive(int n) {
      int call = Tree.Enter("Crossing.Steps:Drive");
      int sum = 0, got;
      while ((got = Native.Resume("worker", n)) >= 0) sum += Leaf(got);
      Tree.Leave(call);
      return sum;
    }

    static int Thread(int place) {
      int call = Tree.Enter("Crossing.Steps:Thread");
      var thread = new System.Threading.Thread(Other) { Name = "of C#" };
      thread.Start(place);
      thread.Join();
      Tree.Leave(call);
      return place;
    }

    static void Other(object place) {
      Tree.Begin("of C#", (int)place);
      int call = Tree.Enter("Crossing.Steps:Other");
      Native.Open();
      Walk(1);
      Errors(2);
      Native.Lua("coroutines", 1);
      Drive(2);
      Native.Close();
      Tree.Leave(call);
    }
  }
}
